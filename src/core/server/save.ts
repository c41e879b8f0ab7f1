import { type ServerChange, type ServerRow, writeServer } from '../../store/compute/server.js';
import { nowText, type Tx } from '../../store/store.js';
import { computeStatus } from './status.js';
import { noteStatus } from './trail.js';

/**
 * Changes a server's columns and, in the same statement, what is computed from them. Every change of a server goes through
 * here. Gives the row as it is now.
 */
export async function saveServer(tx: Tx, server: ServerRow, changes: ServerChange): Promise<ServerRow> {
  const merged = { ...server, ...changes } as ServerRow;
  const values = {
    ...changes,
    ...computeStatus(merged),
    revision: server.revision + 1,
    updated_at: nowText(),
  };
  await writeServer(tx, server.id, values);
  noteStatus(tx, server, { ...merged, ...values });
  return { ...merged, ...values };
}
