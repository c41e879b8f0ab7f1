import type { Host } from '../host/host.js';

/**
 * Makes a file that appears under its name only when it is complete. A file that exists is never touched: it may hold
 * data. What a crash left half-made is thrown away and made anew.
 */
export async function makeOnce(
  host: Host,
  path: string,
  make: (temporary: string) => Promise<void>,
  mode?: number,
): Promise<void> {
  if (await host.stat(path)) return;
  const temporary = `${path}.part`;
  await host.removeFile(temporary);
  try {
    await make(temporary);
    if (mode !== undefined) await host.chmod(temporary, mode);
    // rename syncs the file before it gets its name
    await host.rename(temporary, path);
  } catch (error) {
    await host.removeFile(temporary).catch(() => {});
    throw error;
  }
}
