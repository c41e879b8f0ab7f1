import { request } from 'node:http';
import { inject } from 'vitest';

/** Asks the test run for something that test files share; it is started at the first request. See global-setup.ts. */
export function sharedResource(name: 'postgres-database' | 'lab'): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: inject('resources'), path: `/${name}` }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`${name}: ${text}`)),
      );
    });
    call.on('error', reject);
    call.end();
  });
}
