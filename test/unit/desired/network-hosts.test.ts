import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bindPort, unbindPort } from '../../../src/core/binding/bind.js';
import { MaruError } from '../../../src/core/errors.js';
import { createFloatingIp, updateFloatingIp } from '../../../src/core/floating-ip/floating-ip.js';
import { removeFloatingIp } from '../../../src/core/floating-ip/remove.js';
import { updateNetwork } from '../../../src/core/network/network.js';
import { onNetworkReports } from '../../../src/core/network/reports.js';
import { deleteServerPorts } from '../../../src/core/port/for-server.js';
import { deletePort, updatePort } from '../../../src/core/port/port.js';
import { setGateway } from '../../../src/core/router/gateway.js';
import { addInterface, removeInterface } from '../../../src/core/router/interfaces.js';
import { beginMove } from '../../../src/core/router/place.js';
import { deleteRouter, updateRouter } from '../../../src/core/router/router.js';
import {
  createGroup,
  createRule,
  deleteGroup,
  deleteRule,
  updateGroup,
} from '../../../src/core/security-group/security-group.js';
import { deleteSubnet, updateSubnet } from '../../../src/core/subnet/subnet.js';
import type { AnyHostKind } from '../../../src/desired/kind.js';
import { networkKinds } from '../../../src/desired/network-kinds.js';
import { serverKind } from '../../../src/desired/server.js';
import { type DirtyKinds, dirtyHosts } from '../../../src/hosts/dirty.js';
import { computeSpec, mentionedIds } from '../../../src/hosts/spec.js';
import { parseKey } from '../../../src/protocol/keys.js';
import type { ObjectReport } from '../../../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../../../src/protocol/objects.js';
import { listChanges } from '../../../src/store/changes.js';
import { insertServer, writeServer } from '../../../src/store/compute/server.js';
import { updateHost } from '../../../src/store/hosts.js';
import { listRows } from '../../../src/store/network/list.js';
import { portsOfServer } from '../../../src/store/network/port.js';
import { routerPlacements, withdrawalsOfRouters } from '../../../src/store/network/router-place.js';
import type { ResourceRow, ResourceTable } from '../../../src/store/network/rows.js';
import { storeReports } from '../../../src/store/reports.js';
import { nowText, recordChange, Store, type Tx } from '../../../src/store/store.js';
import { NetworkCore } from '../../support/network-core.js';

const HOSTS = ['h1', 'h2', 'h3'];
const KINDS: readonly AnyHostKind[] = [...networkKinds, serverKind];

/** One step: which operation, and three numbers by which it chooses among what there is. */
interface Step {
  readonly operation: keyof typeof OPERATIONS;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

type Operation = (core: NetworkCore, tx: Tx, step: Step) => Promise<unknown>;

const OPERATIONS = {
  server: async (core, tx, { a, b, c }) => {
    const networks = await rows(tx, 'network');
    const nics = [pick(networks, a), ...(c % 3 === 0 ? [pick(networks, b)] : [])];
    const hostId = HOSTS[b % HOSTS.length]!;
    const groups = [pick(await rows(tx, 'security_group'), c).id];
    const requested = nics.map((network) => ({ network: network.id }));
    const { serverId } = await core.server(tx, requested, hostId, groups);
    await insertServer(tx, serverRow(serverId, hostId));
    await recordChange(tx, 'server', serverId);
  },
  // by an administrator, before any server has it
  boundPort: async (core, tx, { a, b, c }) =>
    core.port(tx, pick(await tenantNetworks(tx), a).id, {
      'binding:host_id': a % 4 === 3 ? '' : `name-of-${HOSTS[b % HOSTS.length]}`,
      security_groups: [pick(await rows(tx, 'security_group'), c).id],
    }),
  // as a request for a server does, before a host is found for it
  takePort: async (core, tx, { a }) => {
    const free = (await rows(tx, 'port')).filter((port) => port.device_id === '');
    const { serverId } = await core.server(tx, [{ port: pick(free, a).id }], null);
    await insertServer(tx, serverRow(serverId, null));
  },
  deleteServer: async (_core, tx, { a }) => {
    const serverId = (await guestPort(tx, a)).server_id!;
    await deleteServerPorts(tx, serverId);
    await writeServer(tx, serverId, { delete_requested_at: nowText() });
    await recordChange(tx, 'server', serverId);
  },
  // as a build that is tried on another host
  rebind: async (_core, tx, { a, b }) => {
    const hostId = HOSTS[b % HOSTS.length]!;
    const serverId = (await guestPort(tx, a)).server_id!;
    for (const port of await portsOfServer(tx, serverId)) await bindPort(tx, port.id, hostId);
    await writeServer(tx, serverId, { host_id: hostId });
    await recordChange(tx, 'server', serverId);
  },
  unbind: async (_core, tx, { a }) => unbindPort(tx, (await guestPort(tx, a)).id),
  changePort: async (core, tx, { a, b, c }) => {
    const groups = await rows(tx, 'security_group');
    const changes = [
      { security_groups: [pick(groups, b).id] },
      { admin_state_up: c % 2 === 0 },
      { allowed_address_pairs: [{ ip_address: `203.0.113.${b % 200}` }] },
      { port_security_enabled: false, security_groups: [], allowed_address_pairs: [] },
      { extra_dhcp_opts: [{ opt_name: 'mtu', opt_value: String(1000 + b), ip_version: 4 }] },
    ];
    await updatePort(tx, core.app, core.ctx, await guestPort(tx, a), changes[c % changes.length]!);
  },
  changeMac: async (core, tx, { a, b }) => {
    const mac_address = `fa:16:3e:00:00:${(b % 256).toString(16).padStart(2, '0')}`;
    await updatePort(tx, core.app, core.ctx, pick(await rows(tx, 'port'), a), { mac_address });
  },
  deletePort: async (_core, tx, { a }) => deletePort(tx, pick(await rows(tx, 'port'), a)),
  subnet: async (core, tx, { a, b }) =>
    core.subnet(tx, pick(await rows(tx, 'network'), a).id, `10.${b % 40}.0.0/24`),
  subnet6: async (core, tx, { a, b }) =>
    core.subnet(tx, pick(await rows(tx, 'network'), a).id, `2001:db8:${b % 40}::/64`, {
      ipv6_address_mode: 'slaac',
      ipv6_ra_mode: 'slaac',
    }),
  changeSubnet: async (core, tx, { a, b, c }) => {
    const changes = [
      { dns_nameservers: [`192.0.2.${b % 200}`] },
      { enable_dhcp: b % 2 === 0 },
      { gateway_ip: null },
    ];
    await updateSubnet(tx, core.ctx, pick(await rows(tx, 'subnet'), a), changes[c % 3]!);
  },
  deleteSubnet: async (core, tx, { a }) =>
    deleteSubnet(tx, core.app, core.ctx, pick(await rows(tx, 'subnet'), a)),
  changeNetwork: async (core, tx, { a, b }) =>
    updateNetwork(tx, core.app, core.ctx, pick(await rows(tx, 'network'), a), { mtu: 1300 + (b % 100) }),
  router: async (core, tx) => core.router(tx),
  deleteRouter: async (core, tx, { a }) =>
    deleteRouter(tx, core.app, core.ctx, pick(await rows(tx, 'router'), a)),
  connect: async (core, tx, { a, b }) =>
    addInterface(tx, core.app, core.ctx, pick(await rows(tx, 'router'), a), {
      subnet_id: pick(await rows(tx, 'subnet'), b).id,
    }),
  disconnect: async (core, tx, { a, b }) =>
    removeInterface(tx, core.app, core.ctx, pick(await rows(tx, 'router'), a), {
      subnet_id: pick(await rows(tx, 'subnet'), b).id,
    }),
  gateway: async (core, tx, { a, b }) => {
    const external = (await rows(tx, 'network')).find((network) => network.external)!;
    await setGateway(
      tx,
      core.app,
      core.ctx,
      pick(await rows(tx, 'router'), a),
      b % 4 === 0 ? null : { network_id: external.id, enable_snat: b % 3 !== 0 },
    );
  },
  changeRouter: async (core, tx, { a, b }) =>
    updateRouter(tx, core.app, core.ctx, pick(await rows(tx, 'router'), a), { admin_state_up: b % 2 === 0 }),
  moveRouter: async (core, tx, { a, b }) =>
    beginMove(tx, core.app, pick(await routerPlacements(tx), a), HOSTS[b % HOSTS.length]!, 'a test'),
  giveRouterUp: async (core, tx, { a }) => {
    const routers = await routerPlacements(tx);
    const withdrawals = await withdrawalsOfRouters(
      tx,
      routers.map((router) => router.id),
    );
    const { router_id, host_id, revision } = pick(withdrawals, a);
    const report: ObjectReport = { key: `router/${router_id}`, revision, state: 'applied' };
    await storeReports(tx, host_id, [report]);
    await onNetworkReports(core.app, tx, host_id, [report]);
  },
  floatingIp: async (core, tx, { a }) => {
    const external = (await rows(tx, 'network')).find((network) => network.external)!;
    await createFloatingIp(tx, core.app, core.ctx, {
      project_id: 'project',
      description: '',
      floating_network_id: external.id,
      port_id: (await guestPort(tx, a)).id,
      dns_name: '',
      dns_domain: '',
    });
  },
  associate: async (core, tx, { a, b }) =>
    updateFloatingIp(tx, core.app, core.ctx, pick(await rows(tx, 'floating_ip'), a), {
      port_id: b % 3 === 0 ? null : (await guestPort(tx, b)).id,
    }),
  deleteFloatingIp: async (_core, tx, { a }) => removeFloatingIp(tx, pick(await rows(tx, 'floating_ip'), a)),
  group: async (core, tx, { a }) =>
    createGroup(tx, core.app, core.ctx, {
      project_id: 'project',
      name: `g${a}`,
      description: '',
      stateful: true,
    }),
  renameGroup: async (core, tx, { a, b }) =>
    updateGroup(tx, core.ctx, pick(await rows(tx, 'security_group'), a), { name: `renamed-${b}` }),
  moveTunnel: async (_core, tx, { a, b }) => {
    const host = HOSTS[a % HOSTS.length]!;
    await updateHost(tx, host, { underlay_ip: `192.0.2.${b % 200}` });
    await recordChange(tx, 'host', host);
  },
  deleteGroup: async (core, tx, { a }) =>
    deleteGroup(tx, core.ctx, pick(await rows(tx, 'security_group'), a)),
  rule: async (core, tx, { a, b, c }) => {
    const groups = await rows(tx, 'security_group');
    await createRule(tx, core.app, core.ctx, {
      project_id: 'project',
      security_group_id: pick(groups, a).id,
      description: '',
      direction: 'ingress',
      ethertype: 'IPv4',
      protocol: 'tcp',
      port_range_min: 1 + (b % 100),
      port_range_max: 200,
      remote_ip_prefix: null,
      remote_group_id: c % 2 ? pick(groups, c).id : null,
    });
  },
  deleteRule: async (core, tx, { a }) =>
    deleteRule(tx, core.ctx, pick(await rows(tx, 'security_group_rule'), a)),
} satisfies Record<string, Operation>;

const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.constantFrom(...(Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[])),
  a: fc.nat(1000),
  b: fc.nat(1000),
  c: fc.nat(1000),
});

/** Steps that are likely to find something to work on. */
const BEGINNING: readonly Step[] = (
  [
    'subnet',
    'subnet',
    'router',
    'gateway',
    'connect',
    'group',
    'rule',
    'server',
    'server',
    'server',
    'boundPort',
    'takePort',
    'floatingIp',
    'moveRouter',
    'giveRouterUp',
  ] as const
).map((operation, i) => ({ operation, a: i, b: i + 1, c: i }));

it('a change of a row changes only objects of hosts and kinds that the recorded changes lead to', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const directory = mkdtempSync(join(tmpdir(), 'maru-hosts-of-'));
      const store = await Store.open(`sqlite:${directory}/maru.db`);
      const core = new NetworkCore(store);
      try {
        await prepare(core);
        for (const one of [...BEGINNING, ...steps]) await checkStep(core, one);
      } finally {
        core.close();
        await store.close();
        rmSync(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: Number(process.env.MARU_PROPERTY_RUNS ?? 12), endOnFailure: true },
  );
}, 600_000);

it('a host has a port that was bound to it before its server was, as soon as the server takes it, and no longer', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-hosts-of-'));
  const store = await Store.open(`sqlite:${directory}/maru.db`);
  const core = new NetworkCore(store);
  const has = async () =>
    Object.keys((await specs(core)).get('h2')!).some((key) => parseKey(key as ObjectKey).kind === 'port');
  const numbers = { a: 0, b: HOSTS.indexOf('h2'), c: 0 };
  try {
    await prepare(core);
    await checkStep(core, { ...numbers, operation: 'boundPort' });
    expect(await has()).toBe(false);
    await checkStep(core, { ...numbers, operation: 'takePort' });
    expect(await has()).toBe(true);
    await checkStep(core, { ...numbers, operation: 'rebind' });
    expect(await has()).toBe(true);
    await checkStep(core, { ...numbers, operation: 'deleteServer' });
    expect(await has()).toBe(false);
    const [port] = (await listRows(store.read, 'port', { visibleTo: null })).filter(
      (p) => p.device_id === '',
    );
    expect(port).toMatchObject({ binding_host: '', status: 'DOWN' });
  } finally {
    core.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

async function prepare(core: NetworkCore): Promise<void> {
  for (const host of HOSTS) await core.host(host, host === 'h3' ? [] : ['extnet']);
  await core.store.tx(async (tx) => {
    const external = await core.network(tx, {
      'router:external': true,
      'provider:network_type': 'flat',
      'provider:physical_network': 'extnet',
    });
    await core.subnet(tx, external.id, '172.24.4.0/24', { enable_dhcp: false });
    for (const cidr of ['10.100.0.0/24', '10.101.0.0/24']) {
      await core.subnet(tx, (await core.network(tx)).id, cidr);
    }
    await createGroup(tx, core.app, core.ctx, {
      project_id: 'project',
      name: 'g',
      description: '',
      stateful: true,
    });
  });
}

/** Carries a step out and compares the objects that changed with the kinds that its change records lead to. */
async function checkStep(core: NetworkCore, one: Step): Promise<void> {
  const before = await specs(core);
  const seen = new Set((await listChanges(core.store.read, 100_000)).map((change) => change.seq));
  try {
    const operation: Operation = OPERATIONS[one.operation];
    await core.store.tx((tx) => operation(core, tx, one));
  } catch (error) {
    // what is refused changes nothing, which is checked as well
    if (!(error instanceof MaruError) && !(error instanceof NothingThere)) throw error;
  }
  const changes = (await listChanges(core.store.read, 100_000))
    .filter((change) => !seen.has(change.seq))
    .map((change) => ({ ...change, requestIds: new Set<string>() }));
  const mentioned = [...before].map(([host, spec]) => [host, mentionedIds(spec)] as const);
  const dirty = await dirtyHosts(
    core.store.read,
    KINDS,
    changes,
    (id) => mentioned.flatMap(([host, ids]) => (ids.has(id) ? [host] : [])),
    (_kind, _change, error) => {
      throw error;
    },
  );
  const missed: string[] = [];
  for (const [host, spec] of await specs(core)) {
    const kinds: DirtyKinds = dirty.get(host)?.kinds ?? new Set();
    for (const key of changedKeys(before.get(host)!, spec)) {
      if (kinds !== 'all' && !kinds.has(parseKey(key).kind)) missed.push(`${host}: ${key}`);
    }
  }
  const recorded = changes.map((change) => `${change.kind}/${change.id}`);
  expect(missed, `${JSON.stringify(one)} recorded ${recorded.join(' ')}`).toEqual([]);
}

function changedKeys(before: Spec, after: Spec): ObjectKey[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)] as ObjectKey[]);
  return [...keys].filter((key) => before[key]?.revision !== after[key]?.revision);
}

async function specs(core: NetworkCore): Promise<Map<string, Spec>> {
  const all = new Map<string, Spec>();
  for (const host of HOSTS) {
    const { spec, failed } = await computeSpec(core.store, KINDS, host);
    expect([...failed]).toEqual([]);
    all.set(host, spec);
  }
  return all;
}

/** A server as create writes it; only what its object shows matters here. */
function serverRow(id: string, hostId: string | null): Parameters<typeof insertServer>[1] {
  const flavor = { name: 'm1.tiny', vcpus: 1, ram: 512, disk: 1, ephemeral: 0, swap: 0, extra_specs: {} };
  return {
    id,
    project_id: 'project',
    user_id: 'user',
    name: 'server',
    hostname: 'server',
    reservation_id: 'r-1',
    launch_index: 0,
    flavor: JSON.stringify(flavor),
    flavor_id: 'f',
    vcpus: 1,
    memory_mb: 512,
    config_drive: 0,
    metadata: '{}',
    disk_config: 'AUTO',
    hardware: '{}',
    host_id: hostId,
    run_epoch: 1,
    power: 'running',
    soft_reboots: 0,
    hard_reboots: 0,
    locked: 0,
    build_attempts: 1,
    failed_hosts: '[]',
    failed: 0,
    vm_state: 'active',
    status: 'ACTIVE',
    created_at: nowText(),
    updated_at: nowText(),
    revision: 1,
  };
}

class NothingThere extends Error {}

async function rows<T extends ResourceTable>(tx: Tx, table: T): Promise<ResourceRow<T>[]> {
  return await listRows(tx, table, { visibleTo: null });
}

function pick<T>(list: readonly T[], n: number): T {
  const found = list[n % Math.max(1, list.length)];
  if (found === undefined) throw new NothingThere();
  return found;
}

async function tenantNetworks(tx: Tx) {
  return (await rows(tx, 'network')).filter((network) => !network.external);
}

async function guestPort(tx: Tx, n: number) {
  const ports = (await rows(tx, 'port')).filter((port) => port.server_id !== null);
  return pick(ports, n);
}
