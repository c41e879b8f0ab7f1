import type { Host } from '../host/host.js';
import { makeOnce } from './disk-writer.js';
import { isoImage } from './iso9660.js';

/** Files of a config drive by their path in it. */
export type DriveFiles = Readonly<Record<string, string | Uint8Array>>;

/**
 * Makes the ISO 9660 file that cloud-init recognises by its label. Equal content gives an equal file. Readable by its owner
 * only: it may carry a password.
 */
export async function buildConfigDrive(host: Host, path: string, files: DriveFiles): Promise<void> {
  await makeOnce(host, path, (temporary) => host.writeFile(temporary, isoImage('config-2', files), 0o600));
}
