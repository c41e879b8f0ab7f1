import { CompiledQuery } from 'kysely';
import { beforeAll, expect, it, vi } from 'vitest';
import type { App } from '../../src/core/app.js';
import { Audit } from '../../src/core/audit/audit.js';
import { lowestAuditId } from '../../src/core/audit/id.js';
import { pruneAuditRecords } from '../../src/core/audit/prune.js';
import type { RequestRecord } from '../../src/core/audit/record.js';
import type { TokenInfo } from '../../src/core/context.js';
import { createLogger } from '../../src/protocol/log.js';
import {
  type AuditShare,
  auditBeyond,
  countAudits,
  listAudits,
  removeAudits,
} from '../../src/store/audit.js';
import { writeSetting } from '../../src/store/settings.js';
import type { Store } from '../../src/store/store.js';
import { forEachStore } from '../support/stores.js';

const TOKEN: TokenInfo = {
  user: { id: 'alice', name: 'Alice', domain: { id: 'default', name: 'Default' }, password_expires_at: null },
  methods: ['password'],
  audit_ids: ['audit-id'],
  issued_at: '',
  expires_at: '',
  project: { id: 'demo', name: 'Demo', domain: { id: 'default', name: 'Default' } },
  domain: null,
  system: null,
  is_domain: false,
  roles: [],
};

forEachStore('audit', (openStore) => {
  let store: Store;
  let errors: string[];
  beforeAll(async () => {
    store = await openStore();
  });

  const open = () => {
    errors = [];
    // however long a test takes, it is within the same minute
    const now = () => 0;
    return new Audit({ store, log: createLogger('error', {}, (line) => void errors.push(line)), now });
  };
  let serial = 0;
  const begin = (
    audit: Audit,
    options: { login?: boolean; token?: TokenInfo | null } = {},
  ): RequestRecord => {
    const record = audit.begin({
      service: 'compute',
      action: 'create',
      method: 'POST',
      path: '/compute/v2.1/servers',
      requestId: `req-${++serial}`,
      globalRequestId: null,
      address: '192.0.2.1',
      login: options.login ?? false,
    });
    if (options.token !== null) record.by(options.token ?? TOKEN, true);
    record.allow();
    return record;
  };
  const stored = async ({ row }: RequestRecord) =>
    (await listAudits(store.read, { requestId: row.request_id! }, 10)).map(
      ({ outcome, status, target_id }) => ({
        outcome,
        status,
        target_id,
      }),
    );
  const change = (name: string) => store.tx((tx) => writeSetting(tx, name, 'x'));

  it('is written by the transaction that it is about, and finished afterwards', async () => {
    const audit = open();
    const record = begin(audit);
    await audit.serving(record, async () => {
      await change('one');
      // what a controller that ends now leaves behind
      expect(await stored(record)).toEqual([{ outcome: 'begun', status: null, target_id: null }]);
      await change('two');
      audit.note({ target: { type: 'server', id: 'made' }, detail: { password: 'hidden', count: 2 } });
    });
    record.answered(202, null);
    await audit.end(record);
    await audit.flush();
    expect(await stored(record)).toEqual([{ outcome: 'succeeded', status: 202, target_id: 'made' }]);
    const [row] = await listAudits(store.read, { requestId: record.row.request_id! }, 1);
    expect(JSON.parse(row!.detail!)).toEqual({ password: '***', count: 2 });
    await audit.close();
  });

  it('costs no transaction of its own before the answer', async () => {
    const audit = open();
    const record = begin(audit);
    const commits: boolean[] = [];
    const tx = store.tx;
    store.tx = ((body, options) => {
      commits.push(options?.unseen ?? false);
      return tx.call(store, body, options);
    }) as typeof tx;
    try {
      await audit.serving(record, () => change('one'));
      record.answered(200, null);
      await audit.end(record);
      expect(commits).toEqual([false]);
      // and many answers share one
      const others = Array.from({ length: 50 }, () => begin(audit));
      for (const other of others) {
        other.answered(409, 'no');
        await audit.end(other);
      }
      await audit.flush();
      expect(commits).toEqual([false, true]);
      expect(await stored(others[0]!)).toEqual([{ outcome: 'refused', status: 409, target_id: null }]);
    } finally {
      store.tx = tx;
    }
    await audit.close();
  });

  it('is there once the answer is given, also when no transaction of the request could carry it', async () => {
    const audit = open();
    const record = begin(audit, { token: null });
    await audit.serving(record, () => change('one'));
    record.answered(204, null);
    await audit.end(record);
    expect(await stored(record)).toEqual([{ outcome: 'succeeded', status: 204, target_id: null }]);
    await audit.close();
  });

  it('is not written by what was rolled back, nor by what goes on after the request', async () => {
    const audit = open();
    const record = begin(audit);
    let later = Promise.resolve();
    await audit.serving(record, async () => {
      await store
        .tx(async (tx) => {
          await writeSetting(tx, 'never', 'x');
          throw new Error('rolled back');
        })
        .catch(() => {});
      later = new Promise((resolve) => setTimeout(resolve, 20)).then(() => change('later'));
    });
    await later;
    expect(await stored(record)).toEqual([]);
    record.answered(500, 'broken');
    await audit.end(record);
    await audit.flush();
    expect(await stored(record)).toEqual([{ outcome: 'failed', status: 500, target_id: null }]);
    await audit.close();
  });

  it('waits in memory while the database takes nothing, and says so once', async () => {
    const audit = open();
    const record = begin(audit);
    record.answered(403, 'no');
    const tx = store.tx;
    store.tx = () =>
      Promise.reject(Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' }));
    try {
      await audit.end(record);
      await expect(audit.flush()).rejects.toThrow('full');
      await expect(audit.flush()).rejects.toThrow('full');
    } finally {
      store.tx = tx;
    }
    expect(errors.filter((line) => line.includes('audit records cannot be stored'))).toHaveLength(1);
    await audit.flush();
    expect(await stored(record)).toEqual([{ outcome: 'refused', status: 403, target_id: null }]);
    await audit.close();
  });

  it('of a flood of failed logins is some records, and how many they stand for', async () => {
    const audit = open();
    const before = (await listAudits(store.read, {}, 10_000)).length;
    const send = async (address: string) => {
      const record = begin(audit, { login: true, token: null });
      record.row.address = address;
      record.answered(401, 'no');
      await audit.end(record);
    };
    for (let n = 0; n < 1_000; n++) await send('203.0.113.9');
    // addresses of one /64 are one sender's
    for (let n = 0; n < 1_000; n++) await send(`2001:db8::${n.toString(16)}`);
    await audit.flush();
    const one = await listAudits(store.read, { address: '203.0.113.9' }, 10_000);
    expect(one.length).toBe(21);
    expect(one.reduce((sum, { repeats }) => sum + repeats, 0)).toBe(1_000);
    for (let n = 0; n < 5_000; n++) await send(`198.51.${n >> 8}.${n & 255}`);
    await audit.flush();
    const all = await listAudits(store.read, {}, 10_000);
    expect(all.length - before).toBeLessThanOrEqual(1_200 + 201);
    const ours = all.slice(0, all.length - before);
    expect(ours.reduce((sum, { repeats }) => sum + repeats, 0)).toBe(7_000);
    // what somebody changes meanwhile is recorded one by one
    const record = begin(audit);
    await audit.serving(record, () => change('meanwhile'));
    record.answered(200, null);
    await audit.end(record);
    await audit.flush();
    expect(await stored(record)).toHaveLength(1);
    await audit.close();
  });

  it('of what is gone has the name from when it was made', async () => {
    const audit = open();
    const made = begin(audit);
    made.found({ type: 'server', id: 's-1', name: 'web', projectId: 'demo' });
    made.answered(202, null);
    await audit.end(made);
    await audit.flush();
    const gone = begin(audit);
    gone.presume({ type: 'server', id: 's-1', name: null, projectId: null });
    gone.answered(204, null);
    await audit.end(gone);
    await audit.flush();
    const [row] = await listAudits(store.read, { requestId: gone.row.request_id! }, 1);
    expect(row).toMatchObject({ target_name: 'web', target_project_id: 'demo' });
    await audit.close();
  });

  it('forgets what is too old and too many, first what changed nothing', async () => {
    const audit = open();
    await store.tx((tx) => removeAudits(tx, 'g', 100_000, {}));
    for (let n = 0; n < 20; n++) {
      const record = begin(audit);
      if (n % 2 === 0) await audit.serving(record, () => change('one'));
      record.answered(n % 2 === 0 ? 200 : 403, null);
      await audit.end(record);
    }
    await audit.flush();
    const kept = async () => (await listAudits(store.read, {}, 100)).map(({ status }) => status);
    const prune = async (upTo: string | undefined, share: AuditShare) =>
      upTo === undefined ? 0 : await store.tx((tx) => removeAudits(tx, upTo, 1_000, share));
    const idle = { changed: false };
    expect(await prune(lowestAuditId(Date.now() - 60_000), {})).toBe(0);
    expect(await auditBeyond(store.read, 10, idle)).toBeUndefined();
    expect(await prune(await auditBeyond(store.read, 4, idle), idle)).toBe(6);
    expect((await kept()).filter((status) => status === 403)).toHaveLength(4);
    expect(await prune(await auditBeyond(store.read, 12, {}), {})).toBe(2);
    expect((await kept()).filter((status) => status === 200)).toHaveLength(8);
    expect(await prune(lowestAuditId(Date.now() + 60_000), {})).toBe(12);
    await audit.close();
  });

  it('is pruned by reading indexes, never the table', async () => {
    const audit = open();
    await change('one');
    const asked: { sql: string; parameters: readonly unknown[] }[] = [];
    const executor = store.read.getExecutor();
    const spy = vi.spyOn(executor, 'executeQuery').mockImplementation((query, ...more) => {
      asked.push(query);
      return Object.getPrototypeOf(executor).executeQuery.call(executor, query, ...more);
    });
    try {
      await countAudits(store.read);
      for (const user of ['alice', null]) {
        await auditBeyond(store.read, 3, { user, changed: true });
        await auditBeyond(store.read, 3, { user, changed: false });
      }
    } finally {
      spy.mockRestore();
    }
    expect(asked).toHaveLength(5);
    if (store.dialect === 'sqlite') {
      for (const { sql: text, parameters } of asked) {
        const plan = CompiledQuery.raw(`explain query plan ${text}`, [...parameters]);
        const { rows } = await store.read.executeQuery<{ detail: string }>(plan);
        expect(rows.map(({ detail }) => detail).join('; ')).toMatch(
          /^(SCAN|SEARCH) audit USING COVERING INDEX audit_share[^;]*$/,
        );
      }
    }
    await audit.close();
  });

  it('takes what is too much from whoever has the most', async () => {
    const audit = open();
    await store.tx((tx) => removeAudits(tx, 'g', 100_000, {}));
    const act = async (id: string, changing: boolean) => {
      const record = begin(audit, { token: { ...TOKEN, user: { ...TOKEN.user, id } } });
      if (changing) await audit.serving(record, () => change('one'));
      record.answered(200, null);
      await audit.end(record);
    };
    for (let n = 0; n < 3; n++) await act('careful', true);
    for (let n = 0; n < 30; n++) await act('busy', true);
    // answered well, but nothing was there to change: counted together
    for (let n = 0; n < 30; n++) await act('busy', false);
    await audit.flush();
    const of = async (user: string) => await listAudits(store.read, { user }, 100);
    expect((await of('busy')).filter(({ changed }) => changed === 0)).toHaveLength(21);
    await pruneAuditRecords({ store, config: { audit_retention: 1, audit_entries: 16 } } as unknown as App);
    expect((await of('careful')).map(({ changed }) => changed)).toEqual([1, 1, 1]);
    expect((await of('busy')).map(({ changed }) => changed).sort()).toEqual([
      0,
      0,
      0,
      0,
      ...Array(9).fill(1),
    ]);
    await audit.close();
  });

  it('records what happens without a request, alone and in a transaction', async () => {
    const audit = open();
    await audit.record({ action: 'maru:policy:reload', detail: { file: '/etc/maru/policy.yaml' } });
    await store.tx((tx) =>
      audit.record({ action: 'maru:policy:expire', target: { type: 'policy', id: 'p' } }, tx),
    );
    await audit.flush();
    const rows = await listAudits(store.read, { service: 'controller', action: 'maru:policy:*' }, 10);
    expect(rows.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['maru:policy:expire', 'succeeded'],
      ['maru:policy:reload', 'succeeded'],
    ]);
    await audit.close();
  });
});
