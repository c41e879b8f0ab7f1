import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The administrator's first password: the file's text, which is made (0600) when there is none. */
export function firstAdminPassword(file: string): string {
  try {
    return readAdminPassword(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const password = randomPassword();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return password;
}

/** The password that a file holds. Throws when there is none in it. */
export function readAdminPassword(file: string): string {
  const text = readFileSync(file, 'utf8').trim();
  if (text === '') throw new Error(`${file} holds no password: write one into it, or remove it`);
  return text;
}

/**
 * A new password, written (0600) beside the file: `keep` puts it in the file's place once it is in force, `discard` removes it if it never
 * will be.
 */
export function newAdminPassword(file: string): { password: string; keep(): void; discard(): void } {
  const password = randomPassword();
  const beside = `${file}.new`;
  mkdirSync(dirname(file), { recursive: true });
  rmSync(beside, { force: true });
  writeFileSync(beside, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return {
    password,
    keep: () => renameSync(beside, file),
    discard: () => rmSync(beside, { force: true }),
  };
}

function randomPassword(): string {
  return randomBytes(15).toString('base64url');
}
