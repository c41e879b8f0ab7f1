import { join } from 'node:path';
import { networkKinds } from '../../../src/desired/network-kinds.js';
import { serverKind } from '../../../src/desired/server.js';
import { volumeKind } from '../../../src/desired/volume.js';
import { computeSpec } from '../../../src/hosts/spec.js';
import type { Spec } from '../../../src/protocol/objects.js';
import type { Reader } from '../../../src/store/store.js';
import type { FaultCloud } from './fault-cloud.js';
import { readJson } from './files.js';

const KINDS = [...networkKinds, serverKind, volumeKind];

/** Waits until nothing is under way any more, and checks that everything agrees with everything then. */
export async function expectSound(cloud: FaultCloud, what: string): Promise<void> {
  await cloud.waitFor(`${what}: nothing is under way`, () => unsettled(cloud));
  await cloud.waitFor(`${what}: no host has anything to do`, () => planned(cloud));
  const found = await violations(cloud);
  if (found.length > 0) throw new Error(`${what}:\n${found.join('\n')}\n${cloud.log()}`);
}

/** What is still under way: in the database, between controller and hosts, on hosts. */
export async function unsettled(cloud: FaultCloud): Promise<string[]> {
  const { store } = cloud;
  const left = await transitional(store.read);
  if (left.length > 0) return left;
  for (const { id, name } of await store.read.selectFrom('host').select(['id', 'name']).execute()) {
    if (!cloud.agents.has(name) || cloud.agents.get(name)?.fate.dead) continue;
    left.push(...(await undelivered(cloud, id, name)));
  }
  return left;
}

async function transitional(db: Reader): Promise<string[]> {
  const servers = await db
    .selectFrom('server')
    .select(['id', 'status', 'task_state', 'delete_requested_at'])
    .where('deleted_at', 'is', null)
    .where((eb) => eb.or([eb('task_state', 'is not', null), eb('delete_requested_at', 'is not', null)]))
    .execute();
  const volumes = await db
    .selectFrom('volume')
    .select(['id', 'status'])
    .where('status', 'not in', ['available', 'error', 'in-use'])
    .execute();
  const tombstones = await db.selectFrom('tombstone').select(['host_id', 'object_key']).execute();
  return [
    ...servers.map((s) => `server ${s.id} is ${s.status} (${s.task_state ?? 'on its way out'})`),
    ...volumes.map((v) => `volume ${v.id} is ${v.status}`),
    ...tombstones.map((t) => `a tombstone of ${t.object_key} is left for host ${t.host_id}`),
  ];
}

/** How what the host holds, and has told, differs from what it should have. */
async function undelivered(cloud: FaultCloud, id: string, name: string): Promise<string[]> {
  const { store } = cloud;
  const wanted = (await computeSpec(store, KINDS, id)).spec;
  const held = readJson<{ spec: Spec }>(join(cloud.directory, name, 'spec.json'))?.spec ?? {};
  const reports = await store.read
    .selectFrom('object_report')
    .select(['object_key', 'revision', 'state', 'error'])
    .where('host_id', '=', id)
    .execute();
  const told = new Map(reports.map((report) => [report.object_key, report]));
  const left: string[] = [];
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(held), ...told.keys()])) {
    const revision = wanted[key as keyof Spec]?.revision;
    const report = told.get(key);
    if (held[key as keyof Spec]?.revision !== revision)
      left.push(`${name} holds another ${key} than it should`);
    else if (report?.revision !== revision || (report && report.state !== 'applied'))
      left.push(
        `${name} says of ${key}: ${report?.state ?? 'nothing'} ${report?.revision ?? ''} ${report?.error ?? ''}, not ${revision ?? 'gone'}`,
      );
  }
  return left;
}

/** Everything that disagrees, in words; call it when nothing is under way and all hosts are up. */
export async function violations(cloud: FaultCloud): Promise<string[]> {
  const { store } = cloud;
  const found: string[] = [];
  await store.read
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (db) => {
      found.push(...(await capacity(db)), ...(await addresses(db)), ...(await bindings(db)));
    });
  found.push(...(await machinesAgree(cloud)));
  return found;
}

/** Allocations are those of the servers and nothing else. */
async function capacity(db: Reader): Promise<string[]> {
  const servers = await db
    .selectFrom('server')
    .select(['id', 'host_id', 'vcpus', 'memory_mb', 'flavor'])
    .where('deleted_at', 'is', null)
    .where('host_id', 'is not', null)
    .execute();
  const volumes = await db
    .selectFrom('volume')
    .select(['id', 'host_id', 'size_gb'])
    .where('host_id', 'is not', null)
    .where('delete_requested_at', 'is', null)
    .execute();
  const wanted = new Map<string, number>();
  for (const { id, host_id, vcpus, memory_mb } of servers) {
    wanted.set(`${id} on ${host_id}: VCPU`, vcpus);
    wanted.set(`${id} on ${host_id}: MEMORY_MB`, memory_mb);
  }
  for (const { id, host_id, size_gb } of volumes) wanted.set(`${id} on ${host_id}: DISK_GB`, size_gb);
  const rows = await db.selectFrom('allocation').selectAll().execute();
  const consumers = new Set([...servers, ...volumes].map(({ id }) => id));
  const claimed = new Map(
    rows.map((row) => [`${row.consumer_id} on ${row.host_id}: ${row.resource_class}`, row.used]),
  );
  return [
    ...[...wanted].filter(([key, used]) => claimed.get(key) !== used).map(([key]) => `not claimed: ${key}`),
    ...rows
      .filter((row) => !consumers.has(row.consumer_id))
      .map(
        (row) => `${row.resource_class} of ${row.host_id} is claimed for ${row.consumer_id}, which is gone`,
      ),
    ...rows
      .filter((row) => servers.some((s) => s.id === row.consumer_id && s.host_id !== row.host_id))
      .map((row) => `${row.consumer_id} has a claim on ${row.host_id}, where it is not`),
  ];
}

/** Every address in use belongs to a port that exists; floating IPs lead to ports that have the address. */
async function addresses(db: Reader): Promise<string[]> {
  const allocations = await db.selectFrom('ip_allocation').selectAll().execute();
  const ports = new Set((await db.selectFrom('port').select('id').execute()).map(({ id }) => id));
  const holds = await db.selectFrom('address_hold').selectAll().execute();
  const held = new Set(holds.map((hold) => `${hold.network_id} ${hold.ip_address}`));
  const owned = new Set(allocations.map((row) => `${row.port_id} ${row.ip_address}`));
  const found: string[] = [];
  const seen = new Set<string>();
  for (const { network_id, ip_address, port_id } of allocations) {
    const key = `${network_id} ${ip_address}`;
    if (seen.has(key)) found.push(`address ${key} is given out twice`);
    seen.add(key);
    if (port_id === null && !held.has(key))
      found.push(`address ${key} is kept for nobody and no host holds it`);
    if (port_id !== null && !ports.has(port_id))
      found.push(`address ${key} belongs to port ${port_id}, gone`);
  }
  for (const floating of await db.selectFrom('floating_ip').selectAll().execute()) {
    if (!owned.has(`${floating.floating_port_id} ${floating.floating_ip_address}`))
      found.push(`floating IP ${floating.floating_ip_address} is not held by its port`);
    if (
      floating.fixed_port_id !== null &&
      !owned.has(`${floating.fixed_port_id} ${floating.fixed_ip_address}`)
    )
      found.push(`floating IP ${floating.floating_ip_address} leads to an address that its port has not`);
  }
  return found;
}

/** Ports of servers are bound where their servers are. */
async function bindings(db: Reader): Promise<string[]> {
  const found: string[] = [];
  const servers = new Map(
    (
      await db
        .selectFrom('server')
        .select(['id', 'host_id', 'status'])
        .where('deleted_at', 'is', null)
        .execute()
    ).map((server) => [server.id, server]),
  );
  const rows = await db
    .selectFrom('port as p')
    .leftJoin('port_binding as b', 'b.port_id', 'p.id')
    .select([
      'p.id',
      'p.server_id',
      'p.device_id',
      'p.device_owner',
      'p.status',
      'b.host_id',
      'b.status as b',
    ])
    .execute();
  for (const port of rows) {
    const server = port.server_id === null ? null : servers.get(port.server_id);
    if (port.server_id !== null && !server)
      found.push(`port ${port.id} is of server ${port.server_id}, gone`);
    if (server?.host_id && port.b === 'active' && port.host_id !== server.host_id)
      found.push(`port ${port.id} is bound to ${port.host_id}, its server is on ${server.host_id}`);
    if (server?.host_id && port.host_id === null) found.push(`port ${port.id} of ${server.id} is not bound`);
    if (server?.status === 'ACTIVE' && port.status !== 'ACTIVE')
      found.push(`port ${port.id} of the running server ${server.id} is ${port.status}`);
  }
  return found;
}

/** What is on the machines is what the database says, and nothing besides. */
async function machinesAgree(cloud: FaultCloud): Promise<string[]> {
  const db = cloud.store.read;
  const found: string[] = [];
  const hosts = await db.selectFrom('host').select(['id', 'name']).execute();
  const compare = (what: string, wanted: Iterable<string>, present: Iterable<string>) => {
    const [w, p] = [new Set(wanted), new Set(present)];
    for (const one of w) if (!p.has(one)) found.push(`${what} ${one} is missing`);
    for (const one of p) if (!w.has(one)) found.push(`${what} ${one} is there, wrongly`);
  };
  for (const { id, name } of hosts) {
    const machine = cloud.machines.get(name);
    if (!machine) continue;
    const servers = await db
      .selectFrom('server')
      .select(['id', 'power', 'status'])
      .where('host_id', '=', id)
      .where('deleted_at', 'is', null)
      .execute();
    const sound = servers.filter(({ status }) => status !== 'ERROR');
    const domains = [...machine.domains.values()];
    compare(
      `${name}: domain`,
      sound.map((s) => s.id),
      domains.map((d) => d.uuid),
    );
    compare(
      `${name}: running domain`,
      sound.filter((s) => s.power === 'running').map((s) => s.id),
      domains.filter((d) => d.running !== null).map((d) => d.uuid),
    );
    const ports = await db
      .selectFrom('port_binding as b')
      .innerJoin('port as p', 'p.id', 'b.port_id')
      .select('p.id')
      .where('b.host_id', '=', id)
      .where('p.server_id', 'is not', null)
      .execute();
    const links = [...machine.netns('').links.keys()];
    compare(
      `${name}: device`,
      ports.map((port) => `tap${port.id.slice(0, 11)}`),
      // DHCP servers and routers have taps on the bridges too: those of guests are of kind tun
      links.filter((link) => machine.netns('').links.get(link)?.kind === 'tun'),
    );
    const routers = await db.selectFrom('router').select('id').where('host_id', '=', id).execute();
    compare(
      `${name}: namespace`,
      routers.map((router) => `qrouter-${router.id}`),
      [...machine.namespaces.keys()].filter((one) => one.startsWith('qrouter-')),
    );
    const state = join(cloud.directory, name);
    compare(
      `${name}: directory of server`,
      sound.map((s) => s.id),
      machine.files.list(`${state}/servers`),
    );
    const volumes = await db.selectFrom('volume').select('id').where('host_id', '=', id).execute();
    compare(
      `${name}: file`,
      volumes.map((volume) => `${volume.id}.qcow2`),
      machine.files.list(`${state}/volumes`),
    );
  }
  return found;
}

interface PlanReply {
  readonly plan: { readonly steps: readonly object[] };
}

/** What hosts would still do. An agent that has just been started is at another port: its first heartbeat says where. */
async function planned(cloud: FaultCloud): Promise<string[]> {
  const found: string[] = [];
  for (const name of cloud.hosts) {
    const { status, body } = await cloud.request<PlanReply>('GET', `/maru/v1/hosts/${name}/plan`);
    if (status !== 200) found.push(`plan of ${name}: status ${status}: ${JSON.stringify(body)}`);
    else found.push(...body.plan.steps.map((step) => `${name} would still do: ${JSON.stringify(step)}`));
  }
  return found;
}
