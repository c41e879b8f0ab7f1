import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { computeService } from '../../src/api/compute/service.js';
import { claimResources, releaseResources } from '../../src/core/allocation/claim.js';
import { onHostFacts } from '../../src/core/allocation/inventory.js';
import { NO_WISHES, type PlacementRequest } from '../../src/core/scheduler/candidate.js';
import { explainPlacement, placeServer } from '../../src/core/scheduler/place.js';
import type { HostFacts } from '../../src/protocol/messages.js';
import { setForcedDown } from '../../src/store/compute/hosts.js';
import { hostsWithRoom, type Roomy } from '../../src/store/compute/room.js';
import { updateHost } from '../../src/store/hosts.js';
import { nowText } from '../../src/store/store.js';
import { TestApp } from '../support/app.js';
import { RowHosts } from '../support/fake-hosts.js';
import { DIALECTS, type Dialect, untilAvailable } from '../support/stores.js';

const WANTS: PlacementRequest = { ...NO_WISHES, resources: { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 } };

const consumer = () => ({ id: randomUUID(), project_id: 'p', user_id: 'u' });

describe.each(DIALECTS)('placement on %s', (dialect: Dialect) => {
  let cloud: TestApp;
  let hosts: RowHosts;
  const ids: string[] = [];

  beforeAll(async () => {
    hosts = new RowHosts();
    cloud = await TestApp.open({
      dialect,
      services: [(app) => computeService(app.config)],
      parts: { hosts: hosts.gateway },
    });
    // more than are judged one and all, in sizes that repeat
    for (let i = 0; i < 80; i++) {
      const facts = { memory_mb: 2048 + 512 * (i % 7), vcpus: 1 + (i % 3), disk_gb: 20 + (i % 5) };
      const physical_networks = i % 2 ? ['extnet'] : ['extnet', 'lan'];
      ids.push(await hosts.add(cloud, `h${i}`, { ...facts, physical_networks }));
    }
    await cloud.app.store.tx(async (tx) => {
      for (let i = 0; i < 10; i++) await updateHost(tx, ids[i]!, { enabled: 0 });
      for (let i = 10; i < 15; i++) await setForcedDown(tx, ids[i]!, true);
      const zone = { uuid: randomUUID(), metadata: '{}', created_at: nowText(), updated_at: null };
      const rows = [
        { ...zone, id: 1, name: 'one', availability_zone: 'az1' },
        { ...zone, id: 2, name: 'none', availability_zone: null },
      ];
      await tx.insertInto('aggregate').values(rows).execute();
      for (let i = 20; i < 40; i++) {
        await tx.insertInto('aggregate_host').values({ aggregate_id: 1, host_id: ids[i]! }).execute();
      }
      for (let i = 40; i < 50; i++) {
        await tx.insertInto('aggregate_host').values({ aggregate_id: 2, host_id: ids[i]! }).execute();
      }
    });
    for (let i = 60; i < 65; i++) hosts.down.add(ids[i]!);
  });
  afterAll(() => cloud.close());

  const sums = async () => {
    const db = cloud.app.store.read;
    const rows = await db
      .selectFrom('allocation')
      .select((eb) => ['host_id', 'resource_class', eb.fn.sum<number>('used').as('used')])
      .groupBy(['host_id', 'resource_class'])
      .execute();
    return new Map(rows.map((row) => [`${row.host_id}/${row.resource_class}`, Number(row.used)]));
  };
  const expectTrueSums = async () => {
    const taken = await sums();
    const inventories = await cloud.app.store.read.selectFrom('inventory').selectAll().execute();
    for (const { host_id, resource_class, used, capacity } of inventories) {
      expect(used).toBe(taken.get(`${host_id}/${resource_class}`) ?? 0);
      expect(used).toBeLessThanOrEqual(capacity);
    }
  };

  it('finds a host exactly when judging every host finds one, among those that will do', async () => {
    const allButOne = Object.fromEntries(ids.slice(0, 79).map((id) => [id, 1]));
    const wants: Partial<PlacementRequest>[] = [
      {},
      { availability_zone: 'az1' },
      { availability_zone: 'nova' },
      { availability_zone: 'nowhere' },
      { host: 'h30' },
      { host: 'h3' },
      { host: 'h61' },
      { physical_networks: ['lan'] },
      { physical_networks: ['lan', 'extnet'], availability_zone: 'az1' },
      { physical_networks: ['other'] },
      { only: { hosts: [ids[70]!, ids[5]!], reason: 'test' } },
      { only: { hosts: [ids[5]!], reason: 'test' } },
      { avoid: Object.fromEntries(ids.slice(0, 79).map((id) => [id, 'test'])) },
      { avoid: Object.fromEntries(ids.map((id) => [id, 'test'])) },
      { resources: { DISK_GB: 24 } },
      { resources: { DISK_GB: 25 } },
      { resources: { VCPU: 3, MEMORY_MB: 4500 } },
      { resources: { VCPU: 4 } },
      { resources: {} },
      { group: { policy: 'affinity', members: { [ids[72]!]: 1, [ids[4]!]: 1 }, max_per_host: 1 } },
      { group: { policy: 'affinity', members: { [ids[4]!]: 1 }, max_per_host: 1 } },
      { group: { policy: 'affinity', members: {}, max_per_host: 1 } },
      { group: { policy: 'anti-affinity', members: allButOne, max_per_host: 1 } },
    ];
    for (const want of wants) {
      const request = { ...WANTS, ...want };
      const all = await explainPlacement(cloud.app.store.read, cloud.app, request);
      const fitting = new Set(all.filter(({ ok }) => ok).map(({ host_id }) => host_id));
      const who = consumer();
      const { hostId, verdicts } = await cloud.app.store.tx((tx) => placeServer(tx, cloud.app, who, request));
      if (fitting.size === 0) {
        expect(hostId, JSON.stringify(want)).toBeNull();
        expect(verdicts).toHaveLength(80);
        expect(verdicts.every(({ reasons }) => reasons.length > 0)).toBe(true);
      } else {
        expect(fitting.has(hostId!), JSON.stringify(want)).toBe(true);
        expect(verdicts.some((verdict) => verdict.host_id === hostId && verdict.ok)).toBe(true);
      }
      await cloud.app.store.tx((tx) => releaseResources(tx, who.id));
    }
    await expectTrueSums();
  });

  it('pages through every host with room, once, most free first', async () => {
    const query = {
      resources: WANTS.resources,
      zone: null,
      unzoned: false,
      host: null,
      physical_networks: [],
      only: null,
    };
    const found: Roomy[] = [];
    for (let page: Roomy[] = [], last: Roomy | null = null; ; last = page.at(-1)!) {
      page = await hostsWithRoom(cloud.app.store.read, query, last, 7);
      found.push(...page);
      if (page.length < 7) break;
    }
    // all but the disabled ones and those said to be down
    expect(new Set(found.map(({ host_id }) => host_id))).toEqual(new Set(ids.slice(15)));
    expect(found).toHaveLength(65);
    expect(found.map(({ free }) => free)).toEqual([...found.map(({ free }) => free)].sort((a, b) => b - a));
  });

  it('spreads servers over the hosts with most room', async () => {
    const made: string[] = [];
    const taken = new Map<string, number>();
    for (let i = 0; i < 60; i++) {
      const who = consumer();
      made.push(who.id);
      const { hostId } = await cloud.app.store.tx((tx) => placeServer(tx, cloud.app, who, WANTS));
      taken.set(hostId!, (taken.get(hostId!) ?? 0) + 1);
    }
    expect(Math.max(...taken.values())).toBeLessThanOrEqual(4);
    expect(taken.size).toBeGreaterThan(20);
    for (const id of made) await cloud.app.store.tx((tx) => releaseResources(tx, id));
  });

  it('gives out what there is and no more, however many ask at once', async () => {
    const request = {
      ...WANTS,
      resources: { VCPU: 1, MEMORY_MB: 1024, DISK_GB: 1 },
      availability_zone: 'az1',
    };
    const rooms = (await explainPlacement(cloud.app.store.read, cloud.app, request)).filter(({ ok }) => ok);
    const inventories = await cloud.app.store.read
      .selectFrom('inventory')
      .selectAll()
      .where('resource_class', '=', 'MEMORY_MB')
      .where(
        'host_id',
        'in',
        rooms.map(({ host_id }) => host_id),
      )
      .execute();
    const room = inventories.reduce((sum, { capacity }) => sum + Math.floor(capacity / 1024), 0);
    const who = Array.from({ length: room + 15 }, consumer);
    const placed = await Promise.all(
      who.map((one) =>
        untilAvailable(() => cloud.app.store.tx((tx) => placeServer(tx, cloud.app, one, request))),
      ),
    );
    expect(placed.filter(({ hostId }) => hostId !== null)).toHaveLength(room);
    await expectTrueSums();
    await Promise.all(
      who.map((one) => untilAvailable(() => cloud.app.store.tx((tx) => releaseResources(tx, one.id)))),
    );
    await expectTrueSums();
    expect((await sums()).size).toBe(0);
  });

  it('keeps count of what is taken while a host changes its size, also below what is taken', async () => {
    const id = ids[79]!;
    const who = consumer();
    const { app } = cloud;
    expect(await app.store.tx((tx) => claimResources(tx, id, who, { VCPU: 2, MEMORY_MB: 2000 }))).toBe(true);
    const facts = { vcpus: 1, memory_mb: 1500, disk_gb: 20 } as HostFacts;
    await app.store.tx((tx) => onHostFacts(tx, app.config, id, facts));
    const [row] = await app.store.read
      .selectFrom('inventory')
      .selectAll()
      .where('host_id', '=', id)
      .where('resource_class', '=', 'MEMORY_MB')
      .execute();
    expect(row).toMatchObject({ used: 2000, capacity: 1500 - app.config.reserved_host_memory_mb });
    expect(await app.store.tx((tx) => claimResources(tx, id, consumer(), { MEMORY_MB: 1 }))).toBe(false);
    await app.store.tx((tx) => releaseResources(tx, who.id));
    await expectTrueSums();
    expect(await app.store.tx((tx) => claimResources(tx, id, consumer(), { MEMORY_MB: 1 }))).toBe(true);
  });
});
