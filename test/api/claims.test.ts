import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { resourcesOf } from '../../src/core/server/build.js';
import type { ServerFlavor, ServerImage } from '../../src/core/server/facts.js';
import { writeLimits } from '../../src/store/quota.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const V = { 'openstack-api-version': 'compute 2.90' };
const FAILS = { state: 'error', error: { message: 'no' } } as const;

describe.each(DIALECTS)('claims of capacity on %s', (dialect) => {
  let cloud: ComputeCloud;
  let user: TestUser;
  let admin: TestUser;

  beforeEach(async () => {
    cloud = await ComputeCloud.open({ dialect, services: [adminService] });
    user = await cloud.cloud.projectUser('demo');
    admin = await cloud.cloud.admin();
  });
  afterEach(() => cloud.close());

  const create = async (server: Record<string, unknown> = {}, hints: object | null = null) => {
    const body = {
      server: { name: 's', imageRef: cloud.imageId, flavorRef: '1', networks: 'none', ...server },
      ...(hints ? { 'os:scheduler_hints': hints } : {}),
    };
    return await cloud.cloud.request('POST', '/compute/v2.1/servers', {
      token: user.token,
      body,
      headers: V,
    });
  };
  const atOnce = async (n: number, ...args: Parameters<typeof create>) => {
    const replies = await Promise.all(Array.from({ length: n }, () => create(...args)));
    await cloud.cloud.app.tasks.drain();
    return replies;
  };
  const servers = () => cloud.cloud.app.store.read.selectFrom('server').selectAll().execute();

  /** Claims as they follow from servers and from what hosts have yet to destroy, and as they are; both sorted. */
  async function compareClaims(): Promise<void> {
    const db = cloud.cloud.app.store.read;
    const wanted = new Set<string>();
    const add = (host: string, server: { id: string; flavor: string; image: string | null }) => {
      const image = server.image === null ? null : (JSON.parse(server.image) as ServerImage);
      const amounts = resourcesOf(JSON.parse(server.flavor) as ServerFlavor, image);
      for (const [name, amount] of Object.entries(amounts)) {
        if (amount > 0) wanted.add(`${server.id} on ${host}: ${amount} ${name}`);
      }
    };
    const all = await servers();
    for (const server of all) {
      if (server.host_id !== null && server.deleted_at === null) add(server.host_id, server);
    }
    for (const { host_id, object_key } of await db.selectFrom('tombstone').selectAll().execute()) {
      const server = all.find(({ id }) => object_key === `server/${id}`);
      if (server) add(host_id, server);
    }
    const claims = await db.selectFrom('allocation').selectAll().execute();
    expect(
      claims.map((c) => `${c.consumer_id} on ${c.host_id}: ${c.used} ${c.resource_class}`).sort(),
    ).toEqual([...wanted].sort());
    for (const { host_id, resource_class, used } of await db.selectFrom('inventory').selectAll().execute()) {
      const sum = claims
        .filter((c) => c.host_id === host_id && c.resource_class === resource_class)
        .reduce((total, c) => total + c.used, 0);
      expect(used, `${resource_class} in use on ${host_id}`).toBe(sum);
    }
  }

  it('of many that want the last places at once, as many get one as there are', async () => {
    await cloud.hosts.add(cloud.cloud, 'host1', { memory_mb: 512 + 3 * 512 });
    await atOnce(8);
    const rows = await servers();
    expect(rows.filter((row) => row.host_id !== null)).toHaveLength(3);
    const failed = rows.filter((row) => row.status === 'ERROR');
    expect(failed).toHaveLength(5);
    for (const { fault } of failed) {
      const { message, details } = JSON.parse(fault!);
      expect(message).toBe('No valid host was found. There are not enough hosts available.');
      expect(details).toMatch(/^host1: /);
    }
    await compareClaims();
    const shown = await cloud.cloud.request('GET', `/compute/v2.1/servers/${failed[0]!.id}`, {
      token: user.token,
    });
    expect(shown.text).not.toContain('host1');
    const seen = await cloud.cloud.request('GET', `/compute/v2.1/servers/${failed[0]!.id}`, {
      token: admin.token,
    });
    expect(seen.json.server.fault.details).toContain('host1: ');
  });

  it('servers that may not share a host do not, also when they come at once', async () => {
    for (const name of ['host1', 'host2', 'host3']) await cloud.hosts.add(cloud.cloud, name);
    const group = await cloud.cloud.request('POST', '/compute/v2.1/os-server-groups', {
      token: user.token,
      body: { server_group: { name: 'apart', policies: ['anti-affinity'] } },
    });
    await atOnce(5, {}, { group: group.json.server_group.id });
    const placed = (await servers()).flatMap((row) => row.host_id ?? []);
    expect(placed).toHaveLength(3);
    expect(new Set(placed).size).toBe(3);
    await compareClaims();
  });

  it('a quota of three is three, also for eight at once', async () => {
    await cloud.hosts.add(cloud.cloud, 'host1');
    await cloud.cloud.app.store.tx((tx) => writeLimits(tx, user.projectId, 'compute', { instances: 3 }));
    const replies = await atOnce(8);
    expect(replies.map(({ status }) => status).sort()).toEqual([202, 202, 202, 403, 403, 403, 403, 403]);
    expect(await servers()).toHaveLength(3);
    await compareClaims();
  });

  it('are what servers say they are after whatever happened', async () => {
    const random = generator(4711);
    const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
    const { app } = cloud.cloud;
    const hosts = new Map<string, string>();
    for (const name of ['host1', 'host2', 'host3'])
      hosts.set(await cloud.hosts.add(cloud.cloud, name, { memory_mb: 4096 }), name);
    const living = async () => (await servers()).filter((row) => row.delete_requested_at === null);
    const steps: Record<string, () => Promise<unknown>> = {
      create: () => create({ flavorRef: pick(['1', '2'])! }),
      'create a small one': () => create({ flavorRef: '1' }),
      'build done': async () => {
        const row = pick((await living()).filter((r) => r.host_id && r.status === 'BUILD'));
        if (row) await cloud.applied(row.id);
      },
      'build failed': async () => {
        const row = pick((await living()).filter((r) => r.host_id && r.status === 'BUILD'));
        if (row) await cloud.applied(row.id, 'nostate', FAILS);
      },
      delete: async () => {
        const row = pick(await living());
        const url = `/compute/v2.1/servers/${row?.id}`;
        if (row) await cloud.cloud.request('DELETE', url, { token: user.token });
      },
      destroyed: async () => {
        const stone = pick(await app.store.read.selectFrom('tombstone').selectAll().execute());
        if (stone && hosts.has(stone.host_id)) {
          await cloud.gone(stone.host_id, stone.object_key.slice('server/'.length));
        }
      },
      'host off or on': async () => {
        const id = pick([...hosts.keys()])!;
        if (!cloud.hosts.down.delete(id)) cloud.hosts.down.add(id);
        await cloud.look();
      },
      'too late': () => cloud.overdue(),
      'host lost': async () => {
        if (hosts.size < 3) return;
        const [id, name] = [...hosts][Math.floor(random() * 3)]!;
        const url = `/maru/v1/hosts/${name}?force=true`;
        const reply = await cloud.cloud.request('DELETE', url, { token: admin.token });
        expect(reply.status, reply.text).toBeLessThan(300);
        hosts.delete(id);
      },
    };
    const names = Object.keys(steps);
    const count = dialect === 'sqlite' ? 60 : 25;
    for (let i = 0; i < count; i++) {
      // a host is lost once, in the middle
      const name = i === Math.floor(count / 2) ? 'host lost' : pick(names.slice(0, -1))!;
      await steps[name]!();
      await app.tasks.drain();
      await compareClaims();
    }
    // and in the end nothing is left
    cloud.hosts.down.clear();
    for (const row of await living()) {
      await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${row.id}`, { token: user.token });
    }
    await app.tasks.drain();
    for (const stone of await app.store.read.selectFrom('tombstone').selectAll().execute()) {
      await cloud.gone(stone.host_id, stone.object_key.slice('server/'.length));
    }
    await cloud.look();
    expect(await app.store.read.selectFrom('allocation').selectAll().execute()).toEqual([]);
    expect((await servers()).filter((row) => row.deleted_at === null)).toEqual([]);
    await compareClaims();
  }, 900_000);
});

/** Numbers from 0 to 1, the same in every run (a linear congruential generator). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
