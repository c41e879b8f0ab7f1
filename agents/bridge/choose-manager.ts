import type { Host } from '../host/host.js';
import type { UplinkManager } from './manager.js';
import { detectManager } from './managers/detect.js';
import type { Snapshot } from './model.js';

/** What configures the device that has the host's addresses, found out from the host. */
export async function chooseManager(host: Host, snapshot: Snapshot, device: string): Promise<UplinkManager> {
  return await detectManager(host, snapshot, device);
}
