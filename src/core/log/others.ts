import { splitAddress } from '../../net/listen-address.js';
import { type ControllerRow, listControllers } from '../../store/controllers.js';
import type { App } from '../app.js';
import type { CollectedLog } from './collect.js';

/** What is looked for, as it stands in lines: ids of a request and of an object. */
export interface Sought {
  readonly requestId: string | null;
  readonly objectIds: readonly string[];
}

/**
 * The other controllers of the database, which are not asked: they share the database, but no channel with each other. Each with what
 * shows there what is sought; also those that ended within the last day, whose logs may have the end of it.
 */
export async function otherControllers(app: App, sought: Sought): Promise<CollectedLog['missing']> {
  const scheme = app.config.tls_cert_file ? 'https' : 'http';
  const latest = new Map<string, ControllerRow>();
  for (const row of await listControllers(app.store.read)) {
    const known = latest.get(row.name);
    if (row.name !== app.config.name && !(known?.alive || (known && known.silence < row.silence)))
      latest.set(row.name, row);
  }
  return [...latest.values()].map((row) => ({
    program: 'controller' as const,
    name: row.name,
    reason: reasonOf(row, sought, scheme),
  }));
}

function reasonOf({ alive, silence, address }: ControllerRow, sought: Sought, scheme: string): string {
  const ids = [...(sought.requestId === null ? [] : [sought.requestId]), ...sought.objectIds];
  const grep = ids.length > 0 ? ` --grep '${ids.join('|')}'` : '';
  const journal = `journalctl -u maru-controller${grep}`;
  const minutes = Math.round(silence / 60_000);
  if (!alive) {
    return `not asked: each controller keeps its own log, and it has not been heard of for ${minutes} min; on its machine: ${journal}`;
  }
  const options = [
    ...(sought.requestId === null ? [] : [`--request ${sought.requestId}`]),
    ...sought.objectIds.map((id) => `--server ${id}`),
  ];
  const { host, port } = splitAddress(address);
  const anywhere = ['0.0.0.0', '::'].includes(host);
  // one that listens on every address has not said under which one it is reached
  const at = anywhere ? `ITS_ADDRESS:${port}` : address;
  const maru = `OS_AUTH_URL=${scheme}://${at}/identity/v3 maru logs ${options.join(' ') || '--since 1h'}`;
  return `not asked: each controller keeps its own log; ${maru}, or on its machine: ${journal}`;
}
