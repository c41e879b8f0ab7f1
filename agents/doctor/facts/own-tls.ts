import { findRenewable } from '../../../src/protocol/own-authority.js';
import type { Look } from '../look.js';

/**
 * The directory of the public certificate `file` where the controller renews that by itself, with an authority made here; null: it
 * is a given one (also where that cannot be told), or there is none.
 */
export async function ownTlsDirectory(look: Look, file: string | null | undefined): Promise<string | null> {
  if (!file) return null;
  const files = { exists: look.exists.bind(look), read: look.file.bind(look) };
  return (await findRenewable(file, files).catch(() => null))?.directory ?? null;
}
