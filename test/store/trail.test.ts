import { beforeAll, expect, it } from 'vitest';
import { DriftReports } from '../../src/hosts/drift.js';
import { noteReports } from '../../src/hosts/trail.js';
import type { DriftEvent, ObjectReport } from '../../src/protocol/messages.js';
import { storeReports } from '../../src/store/reports.js';
import { recordChange, type Store } from '../../src/store/store.js';
import { inSavepoint } from '../../src/store/tasks.js';
import { asActor, causedBy, listTrail, note, pruneTrail, type TrailActor } from '../../src/store/trail.js';
import { forEachStore } from '../support/stores.js';

const ALICE: TrailActor = {
  requestId: 'req-1',
  userId: 'alice',
  projectId: 'demo',
  summary: 'Change a port',
};
const FOREVER = { before: '1970-01-01T00:00:00.000Z', perObject: 1_000_000, total: 1_000_000 };

forEachStore('trail', (openStore) => {
  let store: Store;
  beforeAll(async () => {
    store = await openStore();
  });

  let serial = 0;
  const fresh = () => `object-${++serial}`;
  const trail = async (id: string, kind = 'port') =>
    (await listTrail(store.read, kind, id, { limit: 100 })).map(
      ({ what, detail, request_id, user_id, project_id }) => ({
        what,
        detail,
        request_id,
        user_id,
        project_id,
      }),
    );
  const say = async (id: string, ...details: string[]) =>
    await store.tx(async (tx) => {
      for (const detail of details) note(tx, { kind: 'port', id, what: 'report', detail, requestId: null });
    });

  it('has what was noted, in the order in which it happened', async () => {
    const id = fresh();
    await say(id, 'one', 'two');
    await say(id, 'three');
    expect((await trail(id)).map(({ detail }) => detail)).toEqual(['one', 'two', 'three']);
  });

  it('puts changes down to the request that is served, once for each thing', async () => {
    const [port, server] = [fresh(), fresh()];
    await asActor(ALICE, async () => {
      await store.tx(async (tx) => {
        await recordChange(tx, 'port', port);
        await recordChange(tx, 'port', port, 'req-1');
        await recordChange(tx, 'network-ports', port);
        note(tx, { kind: 'server', id: server, what: 'action', detail: 'create' });
        await recordChange(tx, 'server', server, 'req-1');
      });
    });
    const by = { request_id: 'req-1', user_id: 'alice', project_id: 'demo' };
    expect(await trail(port)).toEqual([{ what: 'action', detail: 'Change a port', ...by }]);
    expect(await trail(server, 'server')).toEqual([{ what: 'action', detail: 'create', ...by }]);
    expect(await trail(port, 'network-ports')).toEqual([]);
  });

  it('does not put down to a request what goes on after it, or what another one began', async () => {
    const [later, others] = [fresh(), fresh()];
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    let background = Promise.resolve();
    await asActor(ALICE, async () => {
      background = gate.then(() => store.tx((tx) => recordChange(tx, 'port', later)));
      const cause = { kind: 'server', id: 's', words: 'server.build of server s', requestId: 'req-2' };
      await store.tx((tx) => causedBy(tx, cause, () => recordChange(tx, 'port', others)));
    });
    go();
    await background;
    expect(await trail(later)).toEqual([]);
    expect(await trail(others)).toEqual([
      {
        what: 'changed',
        detail: 'by server.build of server s',
        request_id: 'req-2',
        user_id: null,
        project_id: null,
      },
    ]);
  });

  it('puts changes down to what they are made along with, and only those', async () => {
    const [along, after] = [fresh(), fresh()];
    const cause = { kind: 'port', id: 'itself', words: 'a task', requestId: 'req-3' };
    await store.tx(async (tx) => {
      await causedBy(tx, cause, async () => {
        await recordChange(tx, 'port', 'itself');
        await recordChange(tx, 'port', along);
      });
      await recordChange(tx, 'port', after);
    });
    expect((await trail(along)).map(({ request_id }) => request_id)).toEqual(['req-3']);
    expect(await trail('itself')).toEqual([]);
    expect(await trail(after)).toEqual([]);
  });

  it('has nothing of what was rolled back, also in part', async () => {
    const [whole, part] = [fresh(), fresh()];
    await store
      .tx(async (tx) => {
        note(tx, { kind: 'port', id: whole, what: 'status', detail: 'never' });
        throw new Error('rolled back');
      })
      .catch(() => {});
    await store.tx(async (tx) => {
      note(tx, { kind: 'port', id: part, what: 'status', detail: 'stays' });
      await inSavepoint(tx, async () => {
        note(tx, { kind: 'port', id: part, what: 'status', detail: 'goes' });
        throw new Error('rolled back');
      }).catch(() => {});
    });
    expect(await trail(whole)).toEqual([]);
    expect((await trail(part)).map(({ detail }) => detail)).toEqual(['stays']);
  });

  it('writes all of a transaction, however many, and cuts what is too long', async () => {
    const id = fresh();
    const long = 'x'.repeat(10_000);
    await say(id, ...Array.from({ length: 1_200 }, (_, n) => `${n}`), long);
    const rows = await listTrail(store.read, 'port', id, { limit: 10_000 });
    expect(rows).toHaveLength(1_201);
    expect(rows.at(-1)?.detail).toHaveLength(2_000);
    const page = await listTrail(store.read, 'port', id, { limit: 3, before: rows[10]!.seq });
    expect(page.map(({ detail }) => detail)).toEqual(['7', '8', '9']);
  });

  it('has drift once, however often and to whichever controller a host tells it', async () => {
    const id = fresh();
    const event = (
      state: DriftEvent['state'],
      object: DriftEvent['object'] = `router/${id}`,
    ): DriftEvent => ({
      object,
      action: 'ip',
      detail: 'addr add 10.0.0.1/24',
      first_seen: '2030-01-01T00:00:00.000Z',
      state,
      healed_at: state === 'healed' ? '2030-01-01T00:00:05.000Z' : null,
    });
    const first = new DriftReports(store);
    await first.take('host-1', [event('reported')]);
    await first.take('host-1', [event('reported'), event('reported', `dhcp/${id}`)]);
    const next = new DriftReports(store);
    await next.take('host-1', [event('reported'), event('reported', `dhcp/${id}`)]);
    await next.take('host-1', [event('healed'), event('reported', 'network/*')]);
    const none = { request_id: null, user_id: null, project_id: null };
    expect(await trail(id, 'router')).toEqual([
      {
        what: 'drift',
        detail: 'changed by other hands, left as it was found: addr add 10.0.0.1/24',
        ...none,
      },
      { what: 'drift', detail: 'changed by other hands, put right: addr add 10.0.0.1/24', ...none },
    ]);
    expect((await trail(id, 'network')).map(({ detail }) => detail)).toEqual([
      'dhcp: changed by other hands, left as it was found: addr add 10.0.0.1/24',
    ]);
    expect(await trail('host-1', 'host')).toHaveLength(1);
  });

  it('has reports of what tenants know, and of its parts only what failed', async () => {
    const id = fresh();
    await store.tx(async (tx) =>
      noteReports(
        tx,
        'host-1',
        [
          { key: `port/${id}`, revision: 'r1', state: 'applied' },
          { key: `dhcp/${id}`, revision: 'r1', state: 'applied' },
          { key: `group-members/${id}:net`, revision: 'r1', state: 'error', error: { message: 'ipset: no' } },
          { key: `server/${id}`, revision: null, state: 'gone' },
        ],
        new Map(),
      ),
    );
    expect((await trail(id)).map(({ detail }) => detail)).toEqual(['applied r1']);
    expect(await trail(id, 'network')).toEqual([]);
    expect((await trail(id, 'security-group')).map(({ detail }) => detail)).toEqual([
      'group-members: error: ipset: no',
    ]);
    expect((await trail(id, 'server')).map(({ detail }) => detail)).toEqual(['gone']);
  });

  it('has of a network on a host when it comes, fails, is well again and goes, not each change of a port elsewhere', async () => {
    const id = fresh();
    let last: ObjectReport | undefined;
    const report = async (state: ObjectReport['state'], revision: string | null, message?: string) => {
      const key = `network/${id}` as const;
      const next: ObjectReport = { key, state, revision, ...(message ? { error: { message } } : {}) };
      const before = new Map(last ? [[key, last]] : []);
      await store.tx(async (tx) => noteReports(tx, 'host-1', [next], before));
      last = next;
    };
    await report('applied', 'r1');
    for (let port = 2; port < 20; port++) await report('applied', `r${port}`);
    await report('error', 'r20', 'bridge: no');
    await report('error', 'r21', 'bridge: never');
    await report('applied', 'r22');
    await report('applied', 'r23');
    await report('gone', null);
    expect((await trail(id, 'network')).map(({ detail }) => detail)).toEqual([
      'applied r1',
      'error: bridge: no',
      'error: bridge: never',
      'applied r22',
      'gone',
    ]);
  });

  it('takes output of commands with NULs, which databases take differently, and what else came with it', async () => {
    const id = fresh();
    const message = 'virsh: \0broken\0 output';
    await store.tx(async (tx) => {
      const reports = [
        { key: `server/${id}`, revision: 'r1', state: 'error', error: { message } },
      ] as const satisfies ObjectReport[];
      await storeReports(tx, 'host-1', reports);
      noteReports(tx, 'host-1', reports, new Map());
    });
    expect((await trail(id, 'server')).map(({ detail }) => detail)).toEqual(['error: virsh: broken output']);
    const event = { object: `server/${id}`, action: 'a\0', first_seen: '2030-01-01T00:00:00.000Z' } as const;
    await new DriftReports(store).take('host-1', [
      { ...event, detail: message, state: 'reported', healed_at: null },
    ]);
    expect((await trail(id, 'server')).at(-1)?.detail).toContain('virsh: broken output');
  });

  it('forgets what is too old, too many of one object, and too many in all', async () => {
    const [quiet, busy] = [fresh(), fresh()];
    await store.tx(async (tx) => {
      await tx.deleteFrom('trail').execute();
    });
    await say(quiet, 'old');
    await store.tx(async (tx) => {
      await tx.updateTable('trail').set({ at: '2020-01-01T00:00:00.000Z' }).execute();
    });
    await say(quiet, 'young');
    await say(busy, ...Array.from({ length: 20 }, (_, n) => `${n}`));
    const prune = async (retention: Partial<typeof FOREVER>, limit = 100) =>
      await store.tx((tx) => pruneTrail(tx, { ...FOREVER, ...retention }, limit));
    expect(await prune({})).toBe(0);
    expect(await prune({ before: '2021-01-01T00:00:00.000Z' })).toBe(1);
    expect((await trail(quiet)).map(({ detail }) => detail)).toEqual(['young']);
    expect(await prune({ perObject: 15 }, 3)).toBe(3);
    expect(await prune({ perObject: 15 })).toBe(2);
    expect(await prune({ perObject: 15 })).toBe(0);
    expect((await trail(busy)).map(({ detail }) => detail)).toEqual(
      Array.from({ length: 15 }, (_, n) => `${n + 5}`),
    );
    expect(await prune({ total: 4 })).toBe(12);
    expect((await trail(quiet)).map(({ detail }) => detail)).toEqual([]);
    expect((await trail(busy)).map(({ detail }) => detail)).toEqual(['16', '17', '18', '19']);
  });
});
