import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import SqliteDatabase from 'better-sqlite3';

/**
 * Makes this process the only controller of an SQLite database, until it releases it or ends, however it ends: the lock is one of the
 * operating system, on a file of its own beside the database. Throws, with the other's process id, when there is one
 * already. On PostgreSQL, which several controllers share, it does nothing.
 */
export function holdDatabase(url: string): { release(): void } {
  if (!url.startsWith('sqlite:')) return { release: () => {} };
  const file = url.slice('sqlite:'.length);
  const lockFile = `${file}.controller-lock`;
  const holderFile = `${file}.controller-pid`;
  const lock = new SqliteDatabase(lockFile);
  try {
    lock.pragma('busy_timeout = 0');
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
    throw new DatabaseHeld(
      `another controller${holder(holderFile)} uses the database ${file} (it holds ${lockFile}). ` +
        'An SQLite database serves one controller: stop the other, or use PostgreSQL for several.',
    );
  }
  writeFileSync(holderFile, `${process.pid}\n`);
  return {
    release: () => {
      rmSync(holderFile, { force: true });
      lock.close();
    },
  };
}

/** Another process works on the SQLite database. */
export class DatabaseHeld extends Error {}

function holder(file: string): string {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return Number.isInteger(pid) ? ` (process ${pid})` : '';
  } catch {
    return '';
  }
}
