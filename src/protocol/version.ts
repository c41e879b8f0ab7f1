import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

let known: string | undefined;

/** The version of this program, as the package.json above it says: in a checkout, built or not, and where it is installed. */
export function programVersion(): string {
  known ??= readVersion(import.meta.dirname);
  return known;
}

function readVersion(directory: string): string {
  const file = join(directory, 'package.json');
  if (existsSync(file)) {
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
    if (name === 'maru' && version) return version;
  }
  const parent = dirname(directory);
  if (parent === directory) {
    throw new Error(`no package.json of maru above ${import.meta.dirname}: this installation is incomplete`);
  }
  return readVersion(parent);
}
