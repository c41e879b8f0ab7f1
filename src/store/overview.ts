import type { Reader } from './store.js';

/** What all servers of each host take, and how many there are. */
export async function hostLoads(
  db: Reader,
): Promise<Map<string, { vcpus: number; memory_mb: number; guests: number; faults: number }>> {
  const loads = new Map<string, { vcpus: number; memory_mb: number; guests: number; faults: number }>();
  const of = (id: string) => {
    let load = loads.get(id);
    if (!load) {
      load = { vcpus: 0, memory_mb: 0, guests: 0, faults: 0 };
      loads.set(id, load);
    }
    return load;
  };
  const used = await db
    .selectFrom('inventory')
    .select(['host_id', 'resource_class', 'used'])
    .where('resource_class', 'in', ['VCPU', 'MEMORY_MB'])
    .execute();
  for (const row of used) {
    if (row.resource_class === 'VCPU') of(row.host_id).vcpus = row.used;
    else of(row.host_id).memory_mb = row.used;
  }
  const guests = await db
    .selectFrom('server')
    .select((eb) => ['host_id', eb.fn.countAll<number>().as('count')])
    .where('host_id', 'is not', null)
    .where('deleted_at', 'is', null)
    .groupBy('host_id')
    .execute();
  for (const row of guests) of(row.host_id!).guests = Number(row.count);
  const faults = await db
    .selectFrom('object_report')
    .select((eb) => ['host_id', eb.fn.countAll<number>().as('count')])
    .where('state', '=', 'error')
    .groupBy('host_id')
    .execute();
  for (const row of faults) of(row.host_id).faults = Number(row.count);
  return loads;
}

/** How many there are of what operators count. */
export async function resourceCounts(db: Reader): Promise<Record<string, number>> {
  const count = async (table: 'host' | 'user' | 'network' | 'router' | 'floating_ip') => {
    const row = await db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow();
    return Number(row.n);
  };
  const servers = await db
    .selectFrom('server')
    .select((eb) => ['status', eb.fn.countAll<number>().as('n')])
    .where('deleted_at', 'is', null)
    .groupBy('status')
    .execute();
  // domains are projects too
  const projects = await db
    .selectFrom('project')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('is_domain', '=', 0)
    .executeTakeFirstOrThrow();
  const images = await db
    .selectFrom('image')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('deleted', '=', 0)
    .executeTakeFirstOrThrow();
  return {
    hosts: await count('host'),
    projects: Number(projects.n),
    users: await count('user'),
    images: Number(images.n),
    networks: await count('network'),
    routers: await count('router'),
    'floating IPs': await count('floating_ip'),
    ...Object.fromEntries(servers.map((s) => [`servers ${s.status}`, Number(s.n)])),
  };
}
