import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { descendants, listProjects, tagsOf } from '../../src/store/identity/projects.js';
import { addAssignment, listAssignments } from '../../src/store/identity/roles.js';
import { memberIdsOf, membersOf, users } from '../../src/store/identity/users.js';
import { forEachStore } from '../support/stores.js';

/** More than a statement may have parameters: 32,766 on SQLite, 65,535 on PostgreSQL. */
const MANY = 66_000;

forEachStore('many rows of identity', (openStore, dialect) => {
  it('are found by their ids, however many these are', async () => {
    const store = await openStore();
    const numbers =
      dialect === 'sqlite'
        ? sql`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${sql.lit(MANY)}) `
        : sql`with n (i) as (select generate_series(1, ${sql.lit(MANY)})) `;
    await store.tx(async (tx) => {
      await sql`insert into group_member (group_id, user_id) ${numbers} select 'g', 'u' || i from n`.execute(
        tx,
      );
      for (const id of ['u1', `u${MANY}`]) {
        await addAssignment(tx, {
          actor_type: 'user',
          actor_id: id,
          target_type: 'system',
          target_id: 'all',
          role_id: 'r',
          inherited: 0,
        });
      }
    });
    const ids = await memberIdsOf(store.read, 'g');
    expect(ids).toHaveLength(MANY);
    expect(await users.list(store.read, { id: ids })).toEqual([]);
    const granted = await listAssignments(store.read, { actor_type: 'user', actor_id: ids });
    expect(granted.map(({ actor_id }) => actor_id)).toEqual(['u1', `u${MANY}`]);
    expect(await listProjects(store.read, { id: ids })).toEqual([]);
    expect(await descendants(store.read, ids)).toEqual([]);
    expect((await tagsOf(store.read, ids)).size).toBe(MANY);
    const groups = Array.from({ length: MANY }, (_, at) => `g${at}`);
    expect((await membersOf(store.read, [...groups, 'g'])).get('g')).toHaveLength(MANY);
  });
});
