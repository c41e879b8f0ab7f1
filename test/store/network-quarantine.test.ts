import { expect, it } from 'vitest';
import { sweepAddressHolds } from '../../src/core/address/settle.js';
import { bindPort } from '../../src/core/binding/bind.js';
import { createFloatingIp } from '../../src/core/floating-ip/floating-ip.js';
import { removeFloatingIp } from '../../src/core/floating-ip/remove.js';
import { deleteServerPorts } from '../../src/core/port/for-server.js';
import { portsOfServers } from '../../src/core/port/of-servers.js';
import { deletePort, updatePort } from '../../src/core/port/port.js';
import { setGateway } from '../../src/core/router/gateway.js';
import { portKind } from '../../src/desired/network-kinds.js';
import { findRow } from '../../src/store/network/rows.js';
import type { Store } from '../../src/store/store.js';
import { NetworkCore } from '../support/network-core.js';
import { forEachStore } from '../support/stores.js';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const TAKEN = { type: 'IpAddressGenerationFailure' };

forEachStore('addresses given back', (openStore) => {
  /** A network whose pool has one address besides that of DHCP. */
  async function tight(store: Store) {
    const core = new NetworkCore(store);
    await core.host('h1');
    const network = await store.tx(async (tx) => {
      const made = await core.network(tx);
      const pool = [{ start: '10.0.0.10', end: '10.0.0.10' }];
      await core.subnet(tx, made.id, '10.0.0.0/24', { allocation_pools: pool, enable_dhcp: false });
      return made;
    });
    return { core, network };
  }

  it('are given out again only when the host has reported that their port is gone', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const first = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    const port = first.ports[0]!.port;
    const key = `port/${port.id}` as const;
    await core.report('h1', { key, revision: 'r1', state: 'applied' });
    expect((await findRow(store.read, 'port', port.id))?.status).toBe('ACTIVE');
    await store.tx((tx) => deleteServerPorts(tx, first.serverId));
    const again = () => store.tx((tx) => core.server(tx, [{ network: network.id }], null));
    await expect(again()).rejects.toMatchObject(TAKEN);
    await core.report('h1', { key, revision: null, state: 'gone' });
    expect((await again()).ports[0]!.addresses).toEqual(['10.0.0.10']);
    core.close();
  });

  it('are free at once when no host ever had the port', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const first = await store.tx((tx) => core.server(tx, [{ network: network.id }], null));
    await store.tx((tx) => deleteServerPorts(tx, first.serverId));
    const second = await store.tx((tx) => core.server(tx, [{ network: network.id }], null));
    expect(second.ports[0]!.addresses).toEqual(['10.0.0.10']);
    core.close();
  });

  it('are found by the sweep when the host never had the port, but not while it is young or the host silent', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const first = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    await store.tx((tx) => deleteServerPorts(tx, first.serverId));
    const again = () => store.tx((tx) => core.server(tx, [{ network: network.id }], null));
    await sweepAddressHolds(core.app);
    await expect(again()).rejects.toMatchObject(TAKEN);
    await pause(10);
    const silent = { ...core.app, hosts: { ...core.app.hosts, isUp: () => false } };
    await sweepAddressHolds(silent, 5);
    await expect(again()).rejects.toMatchObject(TAKEN);
    // a host that has only just come back may not have been sent everything yet
    await sweepAddressHolds(core.app, 5);
    await expect(again()).rejects.toMatchObject(TAKEN);
    await pause(10);
    await sweepAddressHolds(core.app, 5);
    expect((await again()).ports[0]!.addresses).toEqual(['10.0.0.10']);
    core.close();
  });

  it('of floating IPs wait for the router to change', async () => {
    const store = await openStore();
    const core = new NetworkCore(store);
    await core.host('h1');
    const { external, router, port } = await store.tx(async (tx) => {
      const external = await core.network(tx, { 'router:external': true });
      const pool = [{ start: '172.24.4.10', end: '172.24.4.11' }];
      await core.subnet(tx, external.id, '172.24.4.0/24', { allocation_pools: pool, enable_dhcp: false });
      const network = await core.network(tx);
      const subnet = await core.subnet(tx, network.id, '10.0.0.0/24');
      const router = await core.router(tx);
      await setGateway(tx, core.app, core.ctx, router, { network_id: external.id });
      await core.connect(tx, router, subnet.id);
      const server = await core.server(tx, [{ network: network.id }], 'h1');
      return { external, router, port: server.ports[0]!.port };
    });
    expect((await findRow(store.read, 'router', router.id))?.host_id).toBe('h1');
    const key = `router/${router.id}` as const;
    const take = (port_id: string | null) =>
      store.tx((tx) =>
        createFloatingIp(tx, core.app, core.ctx, {
          project_id: 'project',
          description: '',
          floating_network_id: external.id,
          port_id,
          dns_name: '',
          dns_domain: '',
        }),
      );
    const floating = await take(port.id);
    await core.report('h1', { key, revision: 'with', state: 'applied' });
    await store.tx((tx) => removeFloatingIp(tx, floating));
    await expect(take(null)).rejects.toMatchObject(TAKEN);
    // of something in between nobody knows whether it had the address
    await core.report('h1', { key, revision: 'other', state: 'applied' });
    await expect(take(null)).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    expect((await take(null)).floating_ip_address).toBe(floating.floating_ip_address);
    core.close();
  });

  it('binding a port to the host it is on changes nothing', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const { ports } = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    const id = ports[0]!.port.id;
    await core.report('h1', { key: `port/${id}`, revision: 'r', state: 'applied' });
    await store.tx((tx) => bindPort(tx, id, 'h1'));
    expect((await findRow(store.read, 'port', id))?.status).toBe('ACTIVE');
    core.close();
  });

  it('wait for a host that still has the port, also when it was detached before', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const own = await store.tx((tx) => core.port(tx, network.id));
    const { serverId } = await store.tx((tx) => core.server(tx, [{ port: own.id }], 'h1'));
    const key = `port/${own.id}` as const;
    await core.report('h1', { key, revision: 'r1', state: 'applied' });
    await store.tx((tx) => deleteServerPorts(tx, serverId));
    const detached = await findRow(store.read, 'port', own.id);
    expect(detached).toMatchObject({ device_id: '', server_id: null, status: 'DOWN' });
    await store.tx((tx) => deletePort(tx, detached!));
    const again = () => store.tx((tx) => core.server(tx, [{ network: network.id }], null));
    await expect(again()).rejects.toMatchObject(TAKEN);
    await core.report('h1', { key, revision: null, state: 'gone' });
    expect((await again()).ports[0]!.addresses).toEqual(['10.0.0.10']);
    core.close();
  });
});

forEachStore('ports of servers', (openStore) => {
  it('are those that the compute service plugged in, whatever device_id others write into theirs', async () => {
    const store = await openStore();
    const core = new NetworkCore(store);
    await core.host('h1');
    const network = await store.tx(async (tx) => {
      const made = await core.network(tx);
      await core.subnet(tx, made.id, '10.0.0.0/24');
      return made;
    });
    const { serverId, ports } = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    const claim = { device_id: serverId, device_owner: 'compute:nova', 'binding:host_id': 'name-of-h1' };
    await store.tx((tx) => core.port(tx, network.id, claim));
    const found = (await portsOfServers(store.read, [serverId])).get(serverId)!;
    expect(found.map((port) => port.port_id)).toEqual([ports[0]!.port.id]);
    const objects = await portKind.objects(store.read, 'h1');
    expect([...objects.keys()]).toEqual([ports[0]!.port.id]);
    expect(objects.get(ports[0]!.port.id)?.device_id).toBe(serverId);
    await expect(
      store.tx((tx) => updatePort(tx, core.app, core.ctx, ports[0]!.port, { device_id: 'another' })),
    ).rejects.toMatchObject({ type: 'PortInUse' });
    core.close();
  });
});
