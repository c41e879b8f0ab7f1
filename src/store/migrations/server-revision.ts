import type { Kysely } from 'kysely';
import { createRowTrigger } from './trigger.js';

/**
 * Changes of other tables that are shown with servers raise the servers' revision, so that what was rendered before is not
 * shown again: whoever changes a port or a floating IP need not think of it. `ROW` stands for the changed row.
 */
const SOURCES: readonly {
  readonly table: string;
  readonly events: readonly ('insert' | 'update' | 'delete')[];
  /** Servers concerned, as a select of ids. */
  readonly servers: string;
  /** Of updates, only those that change one of these columns. */
  readonly columns?: readonly string[];
}[] = [
  { table: 'port', events: ['insert', 'update', 'delete'], servers: 'select ROW.server_id' },
  {
    table: 'ip_allocation',
    events: ['insert', 'update', 'delete'],
    servers: 'select server_id from port where id = ROW.port_id',
  },
  {
    table: 'port_security_group',
    events: ['insert', 'delete'],
    servers: 'select server_id from port where id = ROW.port_id',
  },
  {
    table: 'floating_ip',
    events: ['insert', 'update', 'delete'],
    servers: 'select server_id from port where id = ROW.fixed_port_id',
  },
  {
    table: 'network',
    events: ['update'],
    columns: ['name'],
    servers: 'select server_id from port where network_id = ROW.id',
  },
  {
    table: 'security_group',
    events: ['update'],
    columns: ['name'],
    servers: `select p.server_id from port p join port_security_group g on g.port_id = p.id
      where g.security_group_id = ROW.id`,
  },
  {
    table: 'host',
    events: ['update'],
    columns: ['name', 'enabled'],
    servers: 'select s.id from server s where s.host_id = ROW.id',
  },
  {
    table: 'aggregate_host',
    events: ['insert', 'delete'],
    servers: 'select s.id from server s where s.host_id = ROW.host_id',
  },
  {
    table: 'aggregate',
    events: ['update'],
    columns: ['availability_zone'],
    servers: `select s.id from server s join aggregate_host h on h.host_id = s.host_id
      where h.aggregate_id = ROW.id`,
  },
];

/** Creates the triggers; all the tables must exist. */
export async function createServerRevisionTriggers(
  db: Kysely<unknown>,
  dialect: 'sqlite' | 'postgres',
): Promise<void> {
  for (const { table, events, servers, columns } of SOURCES) {
    for (const event of events) {
      const name = `server_revision_${table}_${event}`;
      const rows = event === 'insert' ? ['new'] : event === 'delete' ? ['old'] : ['old', 'new'];
      const updates = rows
        .map((row) => servers.replaceAll('ROW', row))
        .map((ids) => `update server set revision = revision + 1 where id in (${ids});`)
        .join(' ');
      const of = event === 'update' && columns ? ` of ${columns.join(', ')}` : '';
      await createRowTrigger(db, dialect, name, `after ${event}${of} on "${table}"`, updates);
    }
  }
}
