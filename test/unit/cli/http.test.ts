import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Client } from '../../../src/cli/client.js';
import { findCredentials } from '../../../src/cli/credentials.js';
import { NoAnswer } from '../../../src/cli/error.js';
import { createProgram } from '../../../src/cli/program.js';

/** A controller that gives tokens, and then only the beginning of a reply, or none. */
describe('a controller that hangs', () => {
  let server: Server;
  let begins: boolean;

  beforeEach(async () => {
    begins = false;
    server = createServer((request, reply) => {
      if (request.url?.startsWith('/identity')) {
        reply.writeHead(201, { 'x-subject-token': 't' }).end('{}');
      } else if (begins) {
        reply.writeHead(200).write('{"status":');
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    vi.stubEnv('OS_AUTH_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}/identity/v3`);
    vi.stubEnv('OS_USERNAME', 'admin');
    vi.stubEnv('OS_PASSWORD', 'secret');
    vi.stubEnv('OS_PROJECT_NAME', 'admin');
    vi.stubEnv('OS_CLOUD', undefined);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    process.exitCode = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([false, true])('is not waited for, also when its reply begins: %s', async (beginning) => {
    begins = beginning;
    // one that asks for no token first, which a busy machine may not give in so short a time
    const client = new Client({ ...findCredentials(), token: 't' }, 300);
    const asked = client.get('/maru/v1/hosts?x=1');
    await expect(asked).rejects.toThrow(NoAnswer);
    await expect(asked).rejects.toThrow(
      /^the controller at http:.* did not answer GET \/maru\/v1\/hosts within 0\.3 s: it hangs, or .* dropped$/,
    );
    await expect(client.request('POST', '/maru/v1/incarnation')).rejects.toThrow(/may be done all the same/);
  });

  it('is what maru status shows after ten seconds', async () => {
    let page = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      page += String(text);
      return true;
    });
    await createProgram().parseAsync(['node', 'maru', 'status']);
    expect(page).toMatch(/^The controller does not answer\./);
    expect(page).toMatch(/OUTAGE {3}the controller at .* within 10 s: it hangs/);
    expect(process.exitCode).toBe(1);
  });
});
