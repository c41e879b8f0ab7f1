import { describe, expect, it } from 'vitest';
import { NOBODY, networkWorld, refuses } from '../support/network-refusals.js';

/** What Neutron refuses about routers and floating IPs, with the type and words that clients know. */

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

const at = (path: string) => () => path;

describe('routers and floating IPs', () => {
  refuse(
    'no such router',
    'GET',
    at(`routers/${NOBODY}`),
    undefined,
    404,
    'RouterNotFound',
    /could not be found$/,
  );
  refuse(
    'a gateway that is not external',
    'PUT',
    () => `routers/${world.router.id}`,
    () => ({ router: { external_gateway_info: { network_id: world.network.id } } }),
    400,
    'BadRequest',
    /is not an external network/,
  );
  refuse(
    'a gateway that does not exist',
    'POST',
    at('routers'),
    () => ({ router: { external_gateway_info: { network_id: NOBODY } } }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuse(
    'an interface twice',
    'PUT',
    () => `routers/${world.router.id}/add_router_interface`,
    () => ({ subnet_id: world.subnet.id }),
    400,
    'BadRequest',
    /already has a port on subnet/,
  );
  refuse(
    'an interface of nothing',
    'PUT',
    () => `routers/${world.router.id}/add_router_interface`,
    () => ({}),
    400,
    'BadRequest',
    /Either subnet_id or port_id/,
  );
  refuse(
    'an interface that is not there',
    'PUT',
    () => `routers/${world.router.id}/remove_router_interface`,
    () => ({ subnet_id: NOBODY }),
    404,
    'RouterInterfaceNotFoundForSubnet',
    /has no interface on subnet/,
  );
  refuse(
    'a port in use as an interface',
    'PUT',
    () => `routers/${world.router.id}/add_router_interface`,
    () => ({ subnet_id: world.subnet.id, port_id: world.port.id }),
    400,
    'BadRequest',
    /Cannot specify both/,
  );
  refuse(
    'a router with interfaces',
    'DELETE',
    () => `routers/${world.router.id}`,
    undefined,
    409,
    'RouterInUse',
    /still has ports/,
  );
  refuse(
    'a route to nowhere',
    'PUT',
    () => `routers/${world.router.id}`,
    () => ({ router: { routes: [{ destination: '198.51.100.0/24', nexthop: '192.0.2.1' }] } }),
    400,
    'InvalidRoutes',
    /nexthop is not connected/,
  );
  refuse(
    'a floating IP of nothing',
    'POST',
    at('floatingips'),
    () => ({ floatingip: { floating_network_id: NOBODY } }),
    404,
    'NetworkNotFound',
    /could not be found/,
  );
  refuse(
    'a floating IP of a tenant network',
    'POST',
    at('floatingips'),
    () => ({ floatingip: { floating_network_id: world.network.id } }),
    400,
    'BadRequest',
    /not a valid external network/,
  );
  refuse(
    'an unknown port',
    'POST',
    at('floatingips'),
    () => ({ floatingip: { floating_network_id: world.external.id, port_id: NOBODY } }),
    404,
    'PortNotFound',
    /could not be found/,
  );
  refuse(
    'a fixed address that the port has not',
    'POST',
    at('floatingips'),
    () => ({
      floatingip: {
        floating_network_id: world.external.id,
        port_id: world.port.id,
        // the port's own is drawn from all of the subnet
        fixed_ip_address: world.port.fixed_ips[0].ip_address === '10.0.0.250' ? '10.0.0.251' : '10.0.0.250',
      },
    }),
    400,
    'BadRequest',
    /does not have fixed ip/,
  );

  it('a port that no router leads to', async () => {
    const network = await made.api.network(made.api.demo);
    await made.api.subnet(made.api.demo, network.id, '10.6.0.0/24');
    const lone = await made.api.port(made.api.demo, network.id);
    const reply = await made.api.call(made.api.demo, 'POST', 'floatingips', {
      floatingip: { floating_network_id: world.external.id, port_id: lone.id },
    });
    expect(reply.status).toBe(404);
    expect(reply.json.NeutronError.type).toBe('ExternalGatewayForFloatingIPNotFound');
    const list = await made.api.call(made.api.demo, 'GET', 'floatingips');
    expect(list.json.floatingips).toEqual([]);
  });

  it('what a floating IP needs stays', async () => {
    const floating = await made.api.make(made.api.demo, 'floatingips', 'floatingip', {
      floating_network_id: world.external.id,
      port_id: world.port.id,
    });
    const types = [];
    for (const [method, path, body] of [
      ['PUT', `routers/${world.router.id}/remove_router_interface`, { subnet_id: world.subnet.id }],
      ['PUT', `routers/${world.router.id}`, { router: { external_gateway_info: null } }],
      [
        'POST',
        'floatingips',
        { floatingip: { floating_network_id: world.external.id, port_id: world.port.id } },
      ],
    ] as const) {
      const reply = await made.api.call(made.api.demo, method, path, body);
      expect(reply.status).toBe(409);
      types.push(reply.json.NeutronError.type);
    }
    expect(types).toEqual([
      'RouterInterfaceInUseByFloatingIP',
      'RouterExternalGatewayInUseByFloatingIp',
      'FloatingIPPortAlreadyAssociated',
    ]);
    expect((await made.api.call(made.api.demo, 'DELETE', `floatingips/${floating.id}`)).status).toBe(204);
  });
});
