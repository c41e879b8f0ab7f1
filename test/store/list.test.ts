import { CompiledQuery } from 'kysely';
import { expect, it } from 'vitest';
import { applyList, type ListOptions } from '../../src/store/list.js';
import type { Store } from '../../src/store/store.js';
import { forEachStore } from '../support/stores.js';

const ROWS = 60;

forEachStore('lists', (openStore) => {
  it('give every row once over the pages, in the order asked for, with ties and nulls', async () => {
    const store = await openStore();
    await fill(store);
    const column = (name: string, direction: 'asc' | 'desc') => ({ column: name, direction }) as const;
    const sorts: ListOptions['sort'][] = [
      [],
      [column('id', 'desc')],
      [column('created_at', 'desc')],
      [column('created_at', 'asc'), column('vcpus', 'desc')],
      [column('description', 'asc')],
      [column('description', 'desc'), column('created_at', 'desc'), column('id', 'desc')],
      [column('vcpus', 'desc'), column('description', 'asc')],
    ];
    for (const sort of sorts) {
      const whole = await page(store, { sort });
      expect(whole).toHaveLength(ROWS);
      expect(whole, JSON.stringify(sort)).toEqual([...whole].sort(inOrder(sort)));
      for (const limit of [1, 7, 59, 60]) {
        expect(await walk(store, sort, limit), JSON.stringify({ sort, limit })).toEqual(whole);
      }
      const marker = whole[20]!;
      const before = await page(store, { sort, marker, limit: 5, reverse: true });
      expect(before.reverse()).toEqual(whole.slice(15, 20));
    }
  });

  it('answer pages of living servers along an index', async () => {
    const store = await openStore();
    if (store.dialect !== 'sqlite') return;
    const marker = { created_at: '2026-01-01T00:00:00.000Z', internal_id: 5, id: 'x' };
    const sort = [
      { column: 'created_at', direction: 'desc' },
      { column: 'internal_id', direction: 'desc' },
    ] as const;
    const all: ListOptions['filters'][] = [{}, { project_id: ['p'] }, { status: ['ERROR'] }];
    for (const filters of all) {
      const living = store.read.selectFrom('server').select('id').where('deleted_at', 'is', null);
      const query = applyList(living, { filters, sort, marker, limit: 100 });
      const { sql, parameters } = query.compile();
      const explain = CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]);
      const { rows } = await store.read.executeQuery<{ detail: string }>(explain);
      const steps = rows.map(({ detail }) => detail).join('\n');
      expect(steps).toMatch(/^SEARCH server USING (COVERING )?INDEX server_\w*newest/);
      expect(steps).not.toContain('TEMP B-TREE');
    }
  });
});

type Row = Record<'id' | 'created_at' | 'vcpus' | 'description', string | number | null>;

async function page(store: Store, options: ListOptions): Promise<Row[]> {
  const rows = store.read.selectFrom('flavor').select(['id', 'created_at', 'vcpus', 'description']);
  return (await applyList(rows, options).execute()) as Row[];
}

async function walk(store: Store, sort: ListOptions['sort'], limit: number): Promise<Row[]> {
  const found: Row[] = [];
  for (let marker: Row | null = null; ; marker = found.at(-1)!) {
    const rows = await page(store, { sort, marker, limit });
    found.push(...rows);
    if (rows.length < limit) return found;
  }
}

function inOrder(sort: ListOptions['sort'] = []) {
  const keys = sort.some(({ column }) => column === 'id')
    ? sort
    : [...sort, { column: 'id', direction: 'asc' as const }];
  return (a: Row, b: Row): number => {
    for (const { column, direction } of keys) {
      const [x, y] = [a[column as keyof Row] ?? '', b[column as keyof Row] ?? ''];
      if (x !== y) return (x < y ? -1 : 1) * (direction === 'asc' ? 1 : -1);
    }
    return 0;
  };
}

async function fill(store: Store): Promise<void> {
  await store.tx(async (tx) => {
    for (let i = 0; i < ROWS; i++) {
      await tx
        .insertInto('flavor')
        .values({
          id: `f${String((i * 37) % ROWS).padStart(3, '0')}`,
          name: `flavor ${i}`,
          vcpus: i % 4,
          memory_mb: 1,
          root_gb: 0,
          ephemeral_gb: 0,
          swap_mb: 0,
          rxtx_factor: 1,
          is_public: 1,
          description: i % 3 === 0 ? null : `d${i % 5}`,
          extra_specs: '{}',
          created_at: `2026-01-01T00:00:0${i % 6}.000Z`,
        })
        .execute();
    }
  });
}
