import { dirname } from 'node:path';
import type { Host } from '../host/host.js';
import { makeOnce } from './disk-writer.js';

/** Files of a config drive by their path in it. */
export type DriveFiles = Readonly<Record<string, string | Uint8Array>>;

/**
 * Builds the ISO 9660 file that cloud-init recognises by its label `config-2`. Times inside are fixed, so equal content gives an
 * equal file. Readable by its owner only: it may carry a password.
 */
export async function buildConfigDrive(host: Host, path: string, files: DriveFiles): Promise<void> {
  await makeOnce(
    host,
    path,
    async (temporary) => {
      const tree = `${path}.tree`;
      await host.removeTree(tree);
      try {
        const names = Object.keys(files);
        for (const folder of new Set(names.map((name) => dirname(name))))
          await host.makeDirectory(`${tree}/${folder}`, 0o700);
        // all at once: each write waits for the disk
        await Promise.all(names.map((name) => host.writeFile(`${tree}/${name}`, files[name] ?? '', 0o600)));
        await host.run('genisoimage', ['-quiet', '-J', '-r', '-V', 'config-2', '-o', temporary, tree], {
          env: { SOURCE_DATE_EPOCH: '946684800' },
        });
      } finally {
        await host.removeTree(tree);
      }
    },
    0o600,
  );
}
