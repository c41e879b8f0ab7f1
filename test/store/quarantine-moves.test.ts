import { expect, it } from 'vitest';
import { sweepAddressHolds } from '../../src/core/address/settle.js';
import { bindPort } from '../../src/core/binding/bind.js';
import { createFloatingIp, updateFloatingIp } from '../../src/core/floating-ip/floating-ip.js';
import { removeFloatingIp } from '../../src/core/floating-ip/remove.js';
import { deleteNetwork } from '../../src/core/network/network.js';
import { deleteServerPorts } from '../../src/core/port/for-server.js';
import { updatePort } from '../../src/core/port/port.js';
import { setGateway } from '../../src/core/router/gateway.js';
import { placeRouter } from '../../src/core/router/place.js';
import { deleteRouter } from '../../src/core/router/router.js';
import { updateSubnet } from '../../src/core/subnet/subnet.js';
import { deleteHost, setPhysicalNetworks } from '../../src/store/hosts.js';
import { findRow } from '../../src/store/network/rows.js';
import type { Store } from '../../src/store/store.js';
import { NetworkCore } from '../support/network-core.js';
import { forEachStore } from '../support/stores.js';

const TAKEN = { type: 'IpAddressGenerationFailure' };

/** What a host had and another place has now, or nobody: the old host counts until it has reported. */
forEachStore('addresses that moved before they were given back', (openStore) => {
  /** A network with one address to give. */
  async function tight(store: Store, address = '10.0.0.10') {
    const core = new NetworkCore(store);
    for (const host of ['h1', 'h2']) await core.host(host);
    const network = await store.tx(async (tx) => {
      const made = await core.network(tx);
      const pool = [{ start: address, end: address }];
      await core.subnet(tx, made.id, '10.0.0.0/24', { allocation_pools: pool, enable_dhcp: false });
      return made;
    });
    const take = () => store.tx((tx) => core.port(tx, network.id));
    return { core, network, take };
  }

  /** A router on h1 between a network with a server and an external one with few addresses. */
  async function routed(store: Store, addresses = 2) {
    const core = new NetworkCore(store);
    await core.host('h1');
    const made = await store.tx(async (tx) => {
      const external = await core.network(tx, {
        'router:external': true,
        'provider:network_type': 'flat',
        'provider:physical_network': 'extnet',
      });
      const pool = [{ start: '172.24.4.10', end: `172.24.4.${9 + addresses}` }];
      await core.subnet(tx, external.id, '172.24.4.0/24', { allocation_pools: pool, enable_dhcp: false });
      const network = await core.network(tx);
      const subnet = await core.subnet(tx, network.id, '10.0.0.0/24', { enable_dhcp: false });
      const router = await core.router(tx);
      await setGateway(tx, core.app, core.ctx, router, { network_id: external.id });
      await core.connect(tx, router, subnet.id);
      const server = await core.server(tx, [{ network: network.id }], 'h1');
      return { external, network, subnet, router, port: server.ports[0]!.port };
    });
    const take = (port_id: string | null = null) =>
      store.tx((tx) =>
        createFloatingIp(tx, core.app, core.ctx, {
          project_id: 'project',
          description: '',
          floating_network_id: made.external.id,
          port_id,
          dns_name: '',
          dns_domain: '',
        }),
      );
    return { core, take, ...made, key: `router/${made.router.id}` as const };
  }

  it('a floating IP that was taken off before it was deleted', async () => {
    const store = await openStore();
    const { core, take, port, key } = await routed(store);
    const floating = await take(port.id);
    await core.applied('h1', key);
    const off = await store.tx((tx) => updateFloatingIp(tx, core.app, core.ctx, floating, { port_id: null }));
    await store.tx((tx) => removeFloatingIp(tx, off));
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    expect((await take()).floating_ip_address).toBe(floating.floating_ip_address);
    core.close();
  });

  it('a floating IP that came off with the port it was on', async () => {
    const store = await openStore();
    const { core, take, port, key } = await routed(store);
    const floating = await take(port.id);
    await core.applied('h1', key);
    await store.tx((tx) => deleteServerPorts(tx, port.server_id!));
    const off = (await findRow(store.read, 'floating_ip', floating.id))!;
    expect(off).toMatchObject({ fixed_port_id: null, router_id: null });
    await store.tx((tx) => removeFloatingIp(tx, off));
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    expect((await take()).floating_ip_address).toBe(floating.floating_ip_address);
    core.close();
  });

  it('a floating IP that went to the router of another host', async () => {
    const store = await openStore();
    const { core, take, port, key, external } = await routed(store, 3);
    const floating = await take(port.id);
    await core.applied('h1', key);
    await core.host('h2');
    const other = await store.tx(async (tx) => {
      await setPhysicalNetworks(tx, 'h1', []);
      const network = await core.network(tx);
      const subnet = await core.subnet(tx, network.id, '10.9.0.0/24', { enable_dhcp: false });
      const router = await core.router(tx);
      await setGateway(tx, core.app, core.ctx, router, { network_id: external.id });
      await setPhysicalNetworks(tx, 'h1', ['extnet']);
      await core.connect(tx, router, subnet.id);
      const server = await core.server(tx, [{ network: network.id }], 'h2');
      return { router, port: server.ports[0]!.port };
    });
    expect((await findRow(store.read, 'router', other.router.id))?.host_id).toBe('h2');
    const moved = await store.tx((tx) =>
      updateFloatingIp(tx, core.app, core.ctx, floating, { port_id: other.port.id }),
    );
    await core.applied('h2', `router/${other.router.id}`);
    await store.tx((tx) => removeFloatingIp(tx, moved));
    await core.applied('h2', `router/${other.router.id}`);
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    expect((await take()).floating_ip_address).toBe(floating.floating_ip_address);
    core.close();
  });

  it("a router's address outside, which guests' connections come from", async () => {
    const store = await openStore();
    const { core, take, router, key, subnet } = await routed(store, 1);
    await core.applied('h1', key);
    await expect(take()).rejects.toMatchObject(TAKEN);
    const { removeInterface } = await import('../../src/core/router/interfaces.js');
    await store.tx(async (tx) => {
      await removeInterface(tx, core.app, core.ctx, router, { subnet_id: subnet.id });
      await deleteRouter(tx, core.app, core.ctx, (await findRow(tx, 'router', router.id))!);
    });
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    expect((await take()).floating_ip_address).toBe('172.24.4.10');
    core.close();
  });

  it('the addresses of a router that went to another host', async () => {
    const store = await openStore();
    const { core, take, port, router, key } = await routed(store);
    const floating = await take(port.id);
    // sent to h1, but nothing was heard of it
    await core.host('h2');
    Object.assign(core.app.hosts, {
      isUp: (id: string) => id !== 'h1',
      isDown: (id: string) => id === 'h1',
      probe: async () => ({ unknown_networks: [], answers: [] }),
    });
    await store.tx((tx) => placeRouter(tx, core.app, router.id));
    await core.app.tasks.drain();
    expect((await findRow(store.read, 'router', router.id))?.host_id).toBe('h2');
    await core.applied('h2', key);
    await store.tx((tx) => removeFloatingIp(tx, floating));
    await core.applied('h2', key);
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    expect((await take()).floating_ip_address).toBe(floating.floating_ip_address);
    core.close();
  });

  it('a port that went to another host', async () => {
    const store = await openStore();
    const { core, network, take } = await tight(store);
    const { serverId, ports } = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    const key = `port/${ports[0]!.port.id}` as const;
    // h1 was told, but gave no word of it
    await store.tx((tx) => bindPort(tx, ports[0]!.port.id, 'h2'));
    await core.applied('h2', key);
    await store.tx((tx) => deleteServerPorts(tx, serverId));
    await core.applied('h2', key);
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', key);
    await take();
    core.close();
  });

  it('an address that a port lost while its host was being told something else', async () => {
    const store = await openStore();
    const { core, network, take } = await tight(store);
    const { ports } = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    const port = ports[0]!.port;
    await core.applied('h1', `port/${port.id}`);
    await store.tx((tx) => updatePort(tx, core.app, core.ctx, port, { fixed_ips: [] }));
    await core.report('h1', { key: `port/${port.id}`, revision: 'before it', state: 'applied' });
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', `port/${port.id}`);
    await take();
    core.close();
  });

  it('the MAC of a port without addresses', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const own = await store.tx((tx) =>
      core.port(tx, network.id, { fixed_ips: [], security_groups: [], mac_address: 'fa:16:3e:00:00:01' }),
    );
    const { serverId } = await store.tx((tx) => core.server(tx, [{ port: own.id }], 'h1'));
    await core.applied('h1', `port/${own.id}`);
    await store.tx(async (tx) => {
      await deleteServerPorts(tx, serverId);
      const { deletePort } = await import('../../src/core/port/port.js');
      await deletePort(tx, (await findRow(tx, 'port', own.id))!);
    });
    const again = () =>
      store.tx((tx) => core.port(tx, network.id, { fixed_ips: [], mac_address: 'fa:16:3e:00:00:01' }));
    await expect(again()).rejects.toMatchObject({ type: 'MacAddressInUse' });
    const other = await store.tx((tx) => core.port(tx, network.id, { fixed_ips: [] }));
    await expect(
      store.tx((tx) => updatePort(tx, core.app, core.ctx, other, { mac_address: 'fa:16:3e:00:00:01' })),
    ).rejects.toMatchObject({ type: 'MacAddressInUse' });
    await core.applied('h1', `port/${own.id}`);
    expect((await again()).mac_address).toBe('fa:16:3e:00:00:01');
    core.close();
  });

  it("the address of a network's DHCP service", async () => {
    const store = await openStore();
    const core = new NetworkCore(store);
    await core.host('h1');
    const pool = [{ start: '10.0.0.10', end: '10.0.0.11' }];
    const { network, subnet } = await store.tx(async (tx) => {
      const made = await core.network(tx);
      return {
        network: made,
        subnet: await core.subnet(tx, made.id, '10.0.0.0/24', { allocation_pools: pool }),
      };
    });
    await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    await core.applied('h1', `dhcp/${network.id}`);
    const take = () => store.tx((tx) => core.port(tx, network.id));
    await expect(take()).rejects.toMatchObject(TAKEN);
    await store.tx((tx) => updateSubnet(tx, core.ctx, subnet, { enable_dhcp: false }));
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h1', `dhcp/${network.id}`);
    await take();
    core.close();
  });

  it('an address that firewalls of other hosts let in as a member of a group', async () => {
    const store = await openStore();
    const { core, network, take } = await tight(store, '10.0.0.10');
    const gone = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    // on h2 a port of the same default group, without an address of its own
    const own = await store.tx((tx) => core.port(tx, network.id, { fixed_ips: [] }));
    await store.tx((tx) => core.server(tx, [{ port: own.id }], 'h2'));
    const group = (
      await store.read.selectFrom('security_group').select('id').where('name', '=', 'default').execute()
    )[0]!.id;
    const members = `group-members/${group}:${network.id}` as const;
    await core.applied('h2', members);
    await core.applied('h1', `port/${gone.ports[0]!.port.id}`);
    await store.tx((tx) => deleteServerPorts(tx, gone.serverId));
    await core.applied('h1', `port/${gone.ports[0]!.port.id}`);
    await expect(take()).rejects.toMatchObject(TAKEN);
    await core.applied('h2', members);
    await take();
    core.close();
  });

  it('the VNI of a deleted network', async () => {
    const store = await openStore();
    const { core, network } = await tight(store);
    const vni = network.segmentation_id!;
    // the only one there is to draw
    const app = { ...core.app, config: { ...core.app.config, vni_range: [vni, vni] as const } };
    Object.assign(core.app, app);
    const { serverId, ports } = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    await core.applied('h1', `network/${network.id}`, `port/${ports[0]!.port.id}`);
    await store.tx(async (tx) => {
      await deleteServerPorts(tx, serverId);
      await deleteNetwork(tx, core.app, core.ctx, network);
    });
    const drawn = () => store.tx((tx) => core.network(tx));
    const named = () =>
      store.tx((tx) =>
        core.network(tx, { 'provider:network_type': 'vxlan', 'provider:segmentation_id': vni }),
      );
    await expect(drawn()).rejects.toMatchObject({ type: 'NoNetworkAvailable' });
    await expect(named()).rejects.toMatchObject({ type: 'TunnelIdInUse' });
    await core.applied('h1', `port/${ports[0]!.port.id}`);
    await expect(drawn()).rejects.toMatchObject({ type: 'NoNetworkAvailable' });
    await core.applied('h1', `network/${network.id}`);
    expect((await drawn()).segmentation_id).toBe(vni);
    core.close();
  });

  it('all that a host held, once it was removed', async () => {
    const store = await openStore();
    const { core, network, take } = await tight(store);
    const { serverId, ports } = await store.tx((tx) => core.server(tx, [{ network: network.id }], 'h1'));
    await core.applied('h1', `network/${network.id}`, `port/${ports[0]!.port.id}`);
    await store.tx((tx) => deleteServerPorts(tx, serverId));
    await expect(take()).rejects.toMatchObject(TAKEN);
    await store.tx((tx) => deleteHost(tx, 'h1'));
    await take();
    core.close();
  });

  it('what was put back before its host saw it, and what two hosts released at once', async () => {
    const store = await openStore();
    const { core, take, port, key } = await routed(store);
    const floating = await take(port.id);
    await core.applied('h1', key);
    await store.tx(async (tx) => {
      const off = await updateFloatingIp(tx, core.app, core.ctx, floating, { port_id: null });
      await updateFloatingIp(tx, core.app, core.ctx, off, { port_id: port.id });
    });
    const holds = () => store.read.selectFrom('address_hold').selectAll().execute();
    expect(await holds()).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    for (let i = 0; i < 2; i++) {
      await sweepAddressHolds(core.app, 5);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await holds()).toEqual([]);
    expect((await findRow(store.read, 'floating_ip', floating.id))?.status).toBe('ACTIVE');
    await store.tx((tx) =>
      tx
        .updateTable('ip_allocation')
        .set({ port_id: null })
        .where('port_id', '=', floating.floating_port_id)
        .execute(),
    );
    await sweepAddressHolds(core.app);
    const left = await store.read
      .selectFrom('ip_allocation')
      .select('ip_address')
      .where('ip_address', '=', floating.floating_ip_address)
      .execute();
    expect(left).toEqual([]);
    core.close();
  });
});
