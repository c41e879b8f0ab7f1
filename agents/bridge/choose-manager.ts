import type { Host } from '../host/host.js';
import type { UplinkManager } from './manager.js';
import type { Snapshot } from './model.js';
import { noManager } from './none-manager.js';

/** What configures the uplink on this host. */
export async function chooseManager(
  _host: Host,
  _snapshot: Snapshot,
  _uplink: string,
): Promise<UplinkManager> {
  return noManager;
}
