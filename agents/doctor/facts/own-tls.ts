import { isOursToRenew } from '../../../src/protocol/own-authority.js';
import type { Look } from '../look.js';

/**
 * The directory of the public certificate `file` where the controller renews that by itself, with an authority made here; null: it
 * is a given one (also where that cannot be told), or there is none.
 */
export async function ownTlsDirectory(look: Look, file: string | null | undefined): Promise<string | null> {
  if (!file) return null;
  const directory = file.slice(0, file.lastIndexOf('/'));
  try {
    if (!(await look.exists(`${directory}/ca.key`))) return null;
    const [certificate, authority] = [await look.file(file), await look.file(`${directory}/ca.pem`)];
    return isOursToRenew(certificate, authority) ? directory : null;
  } catch {
    return null;
  }
}
