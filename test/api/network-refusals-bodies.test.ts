import { describe, expect, it } from 'vitest';
import { NOBODY, networkWorld, refuses } from '../support/network-refusals.js';

/** What Neutron refuses about bodies, with the type and words that clients know. */

const made = networkWorld();
const { world } = made;

function refuse(
  name: string,
  method: string,
  path: () => string,
  body: (() => object) | undefined,
  status: number,
  type: string,
  message: RegExp,
): void {
  refuses(made, name, { method, path, ...(body && { body }), status, type, message });
}

const net = (more: object) => () => ({ network: more });
const at = (path: string) => () => path;

describe('bodies', () => {
  refuse(
    'an unknown attribute',
    'POST',
    at('networks'),
    net({ nope: 1 }),
    400,
    'HTTPBadRequest',
    /^Unrecognized attribute\(s\) 'nope'$/,
  );
  refuse(
    'no boolean',
    'POST',
    at('networks'),
    net({ admin_state_up: 'x' }),
    400,
    'InvalidInput',
    /^Invalid input for operation: 'x' cannot be converted to boolean\.$/,
  );
  refuse(
    'no envelope',
    'POST',
    at('networks'),
    () => ({}),
    400,
    'HTTPBadRequest',
    /^Unable to find 'network' in request body$/,
  );
  refuse(
    'a name that is none',
    'POST',
    at('networks'),
    net({ name: 5 }),
    400,
    'HTTPBadRequest',
    /^Invalid input for name\. Reason: '5' is not a valid string\.$/,
  );
  refuse(
    'a name that is too long',
    'POST',
    at('networks'),
    net({ name: 'x'.repeat(256) }),
    400,
    'HTTPBadRequest',
    /exceeds maximum length of 255/,
  );
  refuse(
    'an attribute that is not given when creating',
    'POST',
    at('networks'),
    net({ status: 'DOWN' }),
    400,
    'HTTPBadRequest',
    /^Attribute 'status' not allowed in POST$/,
  );
  refuse(
    'a read-only attribute',
    'PUT',
    () => `networks/${world.network.id}`,
    net({ id: NOBODY }),
    400,
    'HTTPBadRequest',
    /^Cannot update read-only attribute id$/,
  );
  refuse(
    'a required attribute left out',
    'POST',
    at('subnets'),
    () => ({ subnet: { cidr: '10.0.0.0/24' } }),
    400,
    'HTTPBadRequest',
    /^Failed to parse request\. Required attribute 'network_id' not specified$/,
  );
  refuse(
    'another project',
    'POST',
    at('networks'),
    () => ({ network: { project_id: 'x' } }),
    400,
    'HTTPBadRequest',
    /requires admin privileges/,
  );
  refuse(
    'an empty bulk',
    'POST',
    at('networks'),
    () => ({ networks: [] }),
    400,
    'HTTPBadRequest',
    /Resources required/,
  );

  it('text that is no JSON', async () => {
    const reply = await made.api.cloud.request('POST', '/network/v2.0/networks', {
      token: made.api.demo.token,
      body: '{bad',
    });
    expect(reply.status).toBe(400);
    expect(reply.json.NeutronError).toEqual({
      type: 'HTTPBadRequest',
      message: 'Body contains invalid data',
      detail: '',
    });
  });

  it('a bulk of which one part is wrong changes nothing', async () => {
    const networks = [{ name: 'bulk-good' }, { name: 'bulk-bad', mtu: 99_999 }];
    const reply = await made.api.call(made.api.demo, 'POST', 'networks', { networks });
    expect(reply.status).toBe(400);
    const list = await made.api.call(made.api.demo, 'GET', 'networks?name=bulk-good');
    expect(list.json.networks).toEqual([]);
  });
});
