import { describe, expect, it } from 'vitest';
import { allServices } from '../../src/api/services.js';
import type { Config } from '../../src/config.js';

const changing = allServices({ config: { public_url: 'http://localhost' } as Config }).flatMap((service) =>
  service.operations
    .filter(({ method }) => method !== 'GET' && method !== 'HEAD')
    .map((operation) => ({ ...operation, called: `${service.name} ${operation.method} ${operation.path}` })),
);

/** By what name audit records call a request, which saved filters rely on. */
describe('operations that may change something', () => {
  it('name their action in audit records where they have no policy', () => {
    const nameless = changing.filter(
      ({ policy, audit }) => policy === null && audit !== 'none' && audit?.action === undefined,
    );
    expect(nameless.map(({ called }) => called)).toEqual([]);
  });

  it('leave a record, except for these, which change nothing', () => {
    const unrecorded = changing.filter(({ audit }) => audit === 'none').map(({ called }) => called);
    expect(unrecorded.sort()).toEqual([
      'admin POST /v1/placement/explain',
      'admin POST /v1/policies/check',
      'identity DELETE /v3/OS-OAUTH2/token',
      'identity PATCH /v3/OS-OAUTH2/token',
      'identity PUT /v3/OS-OAUTH2/token',
    ]);
  });
});
