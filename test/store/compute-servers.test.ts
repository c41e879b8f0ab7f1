import { expect, it } from 'vitest';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

/** Asks again: on a slow machine more wait for a connection to PostgreSQL than get one in time, and are told to. */
async function untilServed<T extends { readonly status: number }>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const reply = await ask();
    if (reply.status !== 503) return reply;
  }
}

for (const dialect of DIALECTS) {
  it(`of 50 parallel creates at a quota of 10 exactly 10 succeed on ${dialect}`, async () => {
    const cloud = await ComputeCloud.open({ dialect });
    try {
      const user = await cloud.cloud.projectUser('demo');
      for (let i = 0; i < 3; i++) await cloud.hosts.add(cloud.cloud, `host${i}`);
      const network = await cloud.network(user.projectId);
      const create = () => untilServed(() => cloud.create(user.token, { networks: [{ uuid: network }] }));
      const replies = await Promise.all(Array.from({ length: 50 }, create));
      const statuses = replies.map((reply) => reply.status);
      expect(statuses.filter((status) => status === 202)).toHaveLength(10);
      expect(statuses.filter((status) => status === 403)).toHaveLength(40);
      const db = cloud.cloud.app.store.read;
      expect(await db.selectFrom('server').select('id').execute()).toHaveLength(10);
      const ports = await db
        .selectFrom('port')
        .select('id')
        .where('device_owner', 'like', 'compute:%')
        .execute();
      expect(ports).toHaveLength(10);
      // spread over the hosts, each server with its three allocations
      const allocations = await db.selectFrom('allocation').select(['host_id', 'consumer_id']).execute();
      expect(allocations).toHaveLength(30);
      expect(new Set(allocations.map((a) => a.host_id)).size).toBe(3);
    } finally {
      await cloud.close();
    }
  }, 180_000);

  it(`a server waits for hosts that were not heard of since the start on ${dialect}`, async () => {
    const cloud = await ComputeCloud.open({ dialect });
    try {
      const user = await cloud.cloud.projectUser('demo');
      const host = await cloud.hosts.add(cloud.cloud, 'quiet', { vcpus: 1 });
      cloud.hosts.unheard.add(host);
      const headers = { 'openstack-api-version': 'compute 2.37' };
      const create = async (more: object = {}) => {
        const { json } = await cloud.create(user.token, { networks: 'none', ...more }, headers);
        return json.server.id as string;
      };
      const first = await create();
      await cloud.look();
      expect(await cloud.row(first)).toMatchObject({
        status: 'BUILD',
        task_state: 'scheduling',
        host_id: null,
        fault: null,
      });
      // what it would not do for has nothing to wait for
      expect(await cloud.row(await create({ flavorRef: '5' }))).toMatchObject({ status: 'ERROR' });
      cloud.hosts.unheard.clear();
      await cloud.look();
      expect(await cloud.row(first)).toMatchObject({
        status: 'BUILD',
        task_state: 'spawning',
        host_id: host,
      });

      cloud.hosts.unheard.add(host);
      const third = await create();
      expect(await cloud.row(third)).toMatchObject({ status: 'BUILD', host_id: null });
      cloud.hosts.down.add(host);
      await cloud.look();
      const lost = await cloud.row(third);
      expect(lost.status).toBe('ERROR');
      expect(JSON.parse(lost.fault!).details).toMatch(/^quiet: it is down/);
    } finally {
      await cloud.close();
    }
  });

  it(`capacity is never given out twice on ${dialect}`, async () => {
    const cloud = await ComputeCloud.open({ dialect, config: { ram_allocation_ratio: 1 } });
    try {
      // room for 4 servers of 512 MB besides the 512 MB that are kept for the host
      await cloud.hosts.add(cloud.cloud, 'small', { memory_mb: 2560 });
      const users = await Promise.all(['a', 'b', 'c', 'd'].map((name) => cloud.cloud.projectUser(name)));
      const headers = { 'openstack-api-version': 'compute 2.37' };
      const create = (token: string) => untilServed(() => cloud.create(token, { networks: 'none' }, headers));
      const replies = await Promise.all(users.flatMap(({ token }) => [1, 2, 3].map(() => create(token))));
      expect(replies.map((reply) => reply.status)).toEqual(Array(12).fill(202));
      const rows = await cloud.cloud.app.store.read
        .selectFrom('server')
        .select(['status', 'fault'])
        .execute();
      expect(rows.filter((row) => row.status === 'BUILD')).toHaveLength(4);
      const errors = rows.filter((row) => row.status === 'ERROR');
      expect(errors).toHaveLength(8);
      for (const { fault } of errors) {
        // on PostgreSQL the host may still have looked free when it was chosen
        expect(JSON.parse(fault!).details).toMatch(
          /^small: (needs 512 MB of memory, 0 of 2048 free|another request took its last capacity)/,
        );
      }
    } finally {
      await cloud.close();
    }
  });

  it(`what is shown with a server raises its revision on ${dialect}`, async () => {
    const cloud = await ComputeCloud.open({ dialect });
    try {
      const user = await cloud.cloud.projectUser('demo');
      const hostId = await cloud.hosts.add(cloud.cloud, 'host1');
      const network = await cloud.network(user.projectId);
      const { id } = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server;
      const { store } = cloud.cloud.app;
      const raises = async (
        change: (tx: Parameters<Parameters<typeof store.tx>[0]>[0]) => Promise<unknown>,
      ) => {
        const before = (await cloud.row(id)).revision;
        await store.tx(async (tx) => {
          await change(tx);
        });
        return (await cloud.row(id)).revision > before;
      };
      expect(await raises((tx) => tx.updateTable('network').set({ name: 'new' }).execute())).toBe(true);
      expect(await raises((tx) => tx.updateTable('network').set({ description: 'x' }).execute())).toBe(false);
      expect(await raises((tx) => tx.updateTable('security_group').set({ name: 'new' }).execute())).toBe(
        true,
      );
      expect(await raises((tx) => tx.updateTable('port').set({ status: 'ACTIVE' }).execute())).toBe(true);
      expect(
        await raises((tx) => tx.updateTable('host').set({ enabled: 0 }).where('id', '=', hostId).execute()),
      ).toBe(true);
      expect(await raises((tx) => tx.updateTable('host').set({ usage: '{}' }).execute())).toBe(false);
      expect(await raises((tx) => tx.deleteFrom('port_security_group').execute())).toBe(true);
    } finally {
      await cloud.close();
    }
  });
}
