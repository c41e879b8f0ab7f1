import { describe, expect, it } from 'vitest';
import { networkWorld, refuses } from '../support/network-refusals.js';

/** What Neutron refuses about rights, with the type and words that clients know. */

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
const port = (more: object) => () => ({ port: { network_id: world.network.id, ...more } });
const at = (path: string) => () => path;

describe('rights', () => {
  for (const attributes of [
    { shared: true },
    { 'router:external': true },
    { 'provider:network_type': 'vxlan' },
  ]) {
    const name = Object.keys(attributes)[0]!;
    refuse(
      `${name} by a tenant`,
      'POST',
      at('networks'),
      net(attributes),
      403,
      'PolicyNotAuthorized',
      /disallowed by policy$/,
    );
  }
  refuse(
    "another tenant's network",
    'GET',
    () => `networks/${world.foreign.id}`,
    undefined,
    404,
    'NetworkNotFound',
    /could not be found\.$/,
  );
  refuse(
    "another tenant's network, changed",
    'PUT',
    () => `networks/${world.foreign.id}`,
    net({ name: 'x' }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuse(
    "another tenant's subnet",
    'DELETE',
    () => `subnets/${world.foreignSubnet.id}`,
    undefined,
    404,
    'SubnetNotFound',
    /could not be found/,
  );
  refuse(
    "a port on another tenant's network",
    'POST',
    at('ports'),
    () => ({ port: { network_id: world.foreign.id } }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuse(
    'the external network, changed by a tenant',
    'PUT',
    () => `networks/${world.external.id}`,
    net({ name: 'x' }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );
  refuse(
    'a subnet on the external network by a tenant',
    'POST',
    at('subnets'),
    () => ({ subnet: { network_id: world.external.id, ip_version: 4, cidr: '10.9.0.0/24' } }),
    403,
    'HTTPForbidden',
    /^Tenant \w+ not allowed to create subnet on this network$/,
  );
  refuse(
    'a port on the external network by a tenant',
    'POST',
    at('ports'),
    () => ({ port: { network_id: world.external.id } }),
    403,
    'HTTPForbidden',
    /^Tenant \w+ not allowed to create port on this network$/,
  );
  refuse(
    'a binding by a tenant',
    'POST',
    at('ports'),
    port({ 'binding:host_id': 'h' }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );
  refuse(
    'no SNAT by a tenant',
    'PUT',
    () => `routers/${world.router.id}`,
    () => ({ router: { external_gateway_info: { network_id: world.external.id, enable_snat: false } } }),
    403,
    'PolicyNotAuthorized',
    /disallowed/,
  );

  it('subnets of an external network are not shown to tenants, provider attributes neither', async () => {
    const subnets = await made.api.call(made.api.demo, 'GET', `subnets?network_id=${world.external.id}`);
    expect(subnets.json.subnets).toEqual([]);
    const shown = (await made.api.call(made.api.demo, 'GET', `networks/${world.external.id}`)).json.network;
    expect(Object.keys(shown).filter((key) => key.startsWith('provider:'))).toEqual([]);
    const ports = await made.api.call(made.api.demo, 'GET', `ports?network_id=${world.external.id}`);
    expect(ports.json.ports).toEqual([]);
  });

  it("a request without token is refused in Keystone's format", async () => {
    const reply = await made.api.cloud.request('GET', '/network/v2.0/networks');
    expect(reply.status).toBe(401);
    expect(reply.json.error).toMatchObject({ code: 401, title: 'Unauthorized' });
    expect(reply.headers['www-authenticate']).toMatch(/^Keystone uri="http/);
  });
});
