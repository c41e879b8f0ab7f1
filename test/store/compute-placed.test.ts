import { expect, it } from 'vitest';
import { serverKind } from '../../src/desired/server.js';
import { specObject } from '../../src/protocol/keys.js';
import type { ChangeKind } from '../../src/store/store.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

for (const dialect of DIALECTS) {
  it(`every host whose servers change is named by the change on ${dialect}`, async () => {
    const cloud = await ComputeCloud.open({ dialect });
    try {
      const { store } = cloud.cloud.app;
      const hosts = [await cloud.hosts.add(cloud.cloud, 'a'), await cloud.hosts.add(cloud.cloud, 'b')];
      const user = await cloud.cloud.projectUser('demo');
      const network = await cloud.network(user.projectId);
      const ids: string[] = [];
      for (let i = 0; i < 3; i++) {
        const { id } = (await cloud.create(user.token, { networks: [{ uuid: network }] })).json.server;
        await cloud.applied(id);
        ids.push(id);
      }
      const revisions = async () =>
        new Map(
          await Promise.all(
            hosts.map(async (host) => {
              const objects = await serverKind.objects(store.read, host);
              const list = [...objects].map(([id, body]) => `${id}=${specObject<'server'>(body).revision}`);
              return [host, list.sort().join()] as const;
            }),
          ),
        );
      const [port] = await store.read
        .selectFrom('port')
        .selectAll()
        .where('device_id', '=', ids[0]!)
        .execute();
      const [group] = await store.read.selectFrom('security_group').selectAll().execute();
      const [subnet] = await store.read.selectFrom('subnet').selectAll().execute();
      const api = (method: string, path: string, body: unknown) =>
        cloud.cloud.request(method, `/compute/v2.1/servers/${path}`, { token: user.token, body });
      const changes: [string, () => Promise<unknown>, (ChangeKind | [ChangeKind, string])[]][] = [
        ['metadata', () => api('PUT', `${ids[0]}/metadata`, { metadata: { a: 'b' } }), [['server', ids[0]!]]],
        ['name', () => api('PUT', `${ids[1]}`, { server: { name: 'other' } }), [['server', ids[1]!]]],
        ['delete', () => api('DELETE', ids[2]!, undefined), [['server', ids[2]!]]],
        [
          'mac',
          () =>
            store.tx((tx) =>
              tx
                .updateTable('port')
                .set({ mac_address: 'fa:16:3e:11:22:33' })
                .where('id', '=', port!.id)
                .execute(),
            ),
          [['port', port!.id]],
        ],
        [
          'mtu',
          () => store.tx((tx) => tx.updateTable('network').set({ mtu: 1300 }).execute()),
          [['network', network]],
        ],
        [
          'nameservers',
          () => store.tx((tx) => tx.updateTable('subnet').set({ dns_nameservers: '["9.9.9.9"]' }).execute()),
          [['subnet', subnet!.id]],
        ],
        [
          'group name',
          () => store.tx((tx) => tx.updateTable('security_group').set({ name: 'renamed' }).execute()),
          [['security-group', group!.id]],
        ],
      ];
      for (const [what, change, recorded] of changes) {
        const before = await revisions();
        const named = new Set<string>();
        const ask = async () => {
          for (const one of recorded) {
            const [kind, id] = Array.isArray(one) ? one : [one, ''];
            for (const host of await serverKind.hostsOf(store.read, { kind, id })) named.add(host);
          }
        };
        await change();
        await ask();
        const after = await revisions();
        const differing = hosts.filter((host) => before.get(host) !== after.get(host));
        expect([what, differing.length > 0]).toEqual([what, true]);
        for (const host of differing) expect([what, named.has(host)]).toEqual([what, true]);
      }
    } finally {
      await cloud.close();
    }
  });
}
