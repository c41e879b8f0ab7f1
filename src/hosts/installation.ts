import { readSetting, writeSetting } from '../store/settings.js';
import type { Store } from '../store/store.js';

const SETTING = 'authority_fingerprints';

/**
 * Makes sure that the authorities in the state directory are those of the database's installation, and notes which they are now.
 * Controllers with authorities of their own would each lock the others' hosts out. Throws, saying what to do, when none of
 * them is known.
 */
export async function checkAuthorities(
  store: Store,
  stateDir: string,
  fingerprints: readonly string[],
): Promise<void> {
  await store.tx(async (tx) => {
    const known = await readSetting(tx, SETTING);
    const expected = known === null ? null : (JSON.parse(known) as string[]);
    if (expected && !expected.some((fingerprint) => fingerprints.includes(fingerprint))) {
      throw new Error(
        `the certificate authority in ${stateDir} (SHA-256 ${fingerprints.join(', ')}) is not that of the database's installation (${expected.join(', ')}). ` +
          'The controllers of one installation share one state directory: use the same shared directory for all of them. ' +
          `If the installation's authority is lost for good, delete the row '${SETTING}' of the table 'setting': every host then has to join again.`,
      );
    }
    await writeSetting(tx, SETTING, JSON.stringify(fingerprints));
  });
}

/** Notes the authorities after one was added or taken away. */
export async function noteAuthorities(store: Store, fingerprints: readonly string[]): Promise<void> {
  const text = JSON.stringify(fingerprints);
  if ((await readSetting(store.read, SETTING)) === text) return;
  await store.tx((tx) => writeSetting(tx, SETTING, text));
}
