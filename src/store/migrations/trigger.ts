import { type Kysely, sql } from 'kysely';

/** Creates a trigger for each row: `when` such as `after insert on "port"`, `statements` the same text for both databases. */
export async function createRowTrigger(
  db: Kysely<unknown>,
  dialect: 'sqlite' | 'postgres',
  name: string,
  when: string,
  statements: string,
): Promise<void> {
  const head = `create trigger ${name} ${when} for each row`;
  if (dialect === 'sqlite') {
    await sql.raw(`${head} begin ${statements} end`).execute(db);
    return;
  }
  await sql
    .raw(
      `create function ${name}() returns trigger language plpgsql as $$ begin ${statements} return null; end $$`,
    )
    .execute(db);
  await sql.raw(`${head} execute function ${name}()`).execute(db);
}
