import { parseKey } from '../../protocol/keys.js';
import type { HostFacts, ObjectReport } from '../../protocol/messages.js';
import type { ObjectKey } from '../../protocol/objects.js';
import type { Tx } from '../../store/store.js';
import { onHostFacts } from '../allocation/inventory.js';
import type { App } from '../app.js';
import { onServerGone } from './delete.js';
import { onServerReports } from './report.js';

/** What tells of hosts: src/hosts. */
export interface HostEvents {
  onReport(listener: (tx: Tx, hostId: string, reports: readonly ObjectReport[]) => Promise<void>): void;
  onGone(listener: (tx: Tx, hostId: string, key: ObjectKey) => Promise<void>): void;
  onFacts(listener: (tx: Tx, hostId: string, facts: HostFacts) => Promise<void>): void;
}

/** Lets servers and capacity follow what hosts report. Call once, before hosts are listened to. */
export function followHosts(app: App, hosts: HostEvents): void {
  hosts.onFacts((tx, hostId, facts) => onHostFacts(tx, app.config, hostId, facts));
  hosts.onReport((tx, hostId, reports) => onServerReports(app, tx, hostId, reports));
  hosts.onGone(async (tx, hostId, key) => {
    const { kind, id } = parseKey(key);
    if (kind === 'server') await onServerGone(app, tx, hostId, id);
  });
}
