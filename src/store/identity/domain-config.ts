import type { Selectable } from 'kysely';
import type { Reader, Tx } from '../store.js';
import type { DomainConfigSecretTable, DomainConfigTable } from '../tables/users.js';

export type DomainConfigRow = Selectable<DomainConfigTable>;
export type DomainConfigSecretRow = Selectable<DomainConfigSecretTable>;

const TABLES = ['domain_config', 'domain_config_secret'] as const;

/** A part of a domain's configuration: all of it, a group, or one option. */
export interface ConfigPart {
  readonly group?: string;
  readonly option?: string;
}

/** What a domain has set and may be shown. */
export async function listDomainConfig(
  db: Reader,
  domainId: string,
  part: ConfigPart = {},
): Promise<DomainConfigRow[]> {
  return await db
    .selectFrom('domain_config')
    .selectAll()
    .where((eb) => eb.and(conditions(domainId, part)))
    .orderBy('group_name')
    .orderBy('option_name')
    .execute();
}

/** True when a domain has set something of that part, be it secret. */
export async function hasDomainConfig(db: Reader, domainId: string, part: ConfigPart = {}): Promise<boolean> {
  for (const table of TABLES) {
    const row = await db
      .selectFrom(table)
      .select('domain_id')
      .where((eb) => eb.and(conditions(domainId, part)))
      .limit(1)
      .executeTakeFirst();
    if (row) return true;
  }
  return false;
}

/** Sets options; others stay. */
export async function putDomainConfig(
  tx: Tx,
  rows: readonly DomainConfigRow[],
  secrets: readonly DomainConfigSecretRow[],
): Promise<void> {
  for (const row of rows) {
    await tx
      .insertInto('domain_config')
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(['domain_id', 'group_name', 'option_name']).doUpdateSet({ value: row.value }),
      )
      .execute();
  }
  for (const row of secrets) {
    await tx
      .insertInto('domain_config_secret')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ secret: row.secret }))
      .execute();
  }
}

/** Removes a part of what a domain has set; without one all of it, as when the domain goes. */
export async function removeDomainConfig(tx: Tx, domainId: string, part: ConfigPart = {}): Promise<void> {
  for (const table of TABLES) {
    await tx
      .deleteFrom(table)
      .where((eb) => eb.and(conditions(domainId, part)))
      .execute();
  }
}

function conditions(domainId: string, { group, option }: ConfigPart) {
  return {
    domain_id: domainId,
    ...(group !== undefined && { group_name: group }),
    ...(option !== undefined && { option_name: option }),
  };
}
