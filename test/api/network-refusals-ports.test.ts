import { describe, expect, it } from 'vitest';
import { NOBODY, networkWorld, refuses } from '../support/network-refusals.js';

/** What Neutron refuses about ports, with the type and words that clients know. */

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

const port = (more: object) => () => ({ port: { network_id: world.network.id, ...more } });
const at = (path: string) => () => path;

describe('ports', () => {
  refuse(
    'an address of no subnet',
    'POST',
    at('ports'),
    port({ fixed_ips: [{ ip_address: '192.0.2.1' }] }),
    400,
    'InvalidIpForNetwork',
    /not a valid IP for any of the subnets/,
  );
  refuse(
    'an address that is taken',
    'POST',
    at('ports'),
    () => port({ fixed_ips: [{ ip_address: world.port.fixed_ips[0].ip_address }] })(),
    409,
    'IpAddressAlreadyAllocated',
    /already allocated/,
  );
  refuse(
    'a subnet of another network',
    'POST',
    at('ports'),
    () => port({ fixed_ips: [{ subnet_id: world.foreignSubnet.id }] })(),
    400,
    'InvalidInput',
    /included invalid subnet/,
  );
  refuse(
    'a MAC that is taken',
    'POST',
    at('ports'),
    () => port({ mac_address: world.port.mac_address })(),
    409,
    'MacAddressInUse',
    /is in use/,
  );
  refuse(
    'a MAC that is none',
    'POST',
    at('ports'),
    port({ mac_address: 'zz' }),
    400,
    'HTTPBadRequest',
    /not a valid MAC address/,
  );
  refuse(
    'an unknown group',
    'POST',
    at('ports'),
    port({ security_groups: [NOBODY] }),
    404,
    'SecurityGroupNotFound',
    /does not exist/,
  );
  refuse(
    'groups without port security',
    'POST',
    at('ports'),
    () => port({ port_security_enabled: false, security_groups: [world.group.id] })(),
    409,
    'PortSecurityPortHasSecurityGroup',
    /Cannot disable port security/,
  );
  refuse(
    'a pair given twice',
    'POST',
    at('ports'),
    port({ allowed_address_pairs: [{ ip_address: '10.0.0.9' }, { ip_address: '10.0.0.9' }] }),
    400,
    'HTTPBadRequest',
    /duplicate address pair/,
  );

  it("nobody plugs a port into somebody else's router by writing its id", async () => {
    const { api } = made;
    const network = await api.network(api.other);
    await api.subnet(api.other, network.id, '10.66.0.0/24');
    const claim = { device_owner: 'network:router_interface', device_id: world.router.id };
    const created = await api.call(api.other, 'POST', 'ports', {
      port: { network_id: network.id, ...claim },
    });
    expect([created.status, created.json.NeutronError.type]).toEqual([403, 'PolicyNotAuthorized']);
    const plain = await api.port(api.other, network.id);
    expect((await api.call(api.other, 'PUT', `ports/${plain.id}`, { port: claim })).status).toBe(403);
    const router = await api.make(api.other, 'routers', 'router', {});
    const added = await api.call(api.other, 'PUT', `routers/${router.id}/add_router_interface`, {
      port_id: plain.id,
    });
    expect(added.status).toBe(200);
    const moved = await api.call(api.other, 'PUT', `ports/${plain.id}`, {
      port: { device_id: world.router.id },
    });
    expect(moved.status).toBe(403);
    const interfaces = await api.call(
      api.admin,
      'GET',
      `ports?device_id=${world.router.id}&device_owner=network:router_interface`,
    );
    expect(interfaces.json.ports).toHaveLength(1);
  });

  it("a router's interface is not deleted as a port", async () => {
    const list = await made.api.call(made.api.demo, 'GET', `ports?device_id=${world.router.id}`);
    const reply = await made.api.call(made.api.demo, 'DELETE', `ports/${list.json.ports[0].id}`);
    expect(reply.status).toBe(409);
    expect(reply.json.NeutronError.type).toBe('ServicePortInUse');
  });
});
