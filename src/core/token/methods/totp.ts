import { timingSafeEqual } from 'node:crypto';
import { takeTotpStep } from '../../../store/identity/logins.js';
import type { App } from '../../app.js';
import { listCredentials } from '../../credential/credential.js';
import { base32Bytes, stepOf, totpCode } from '../../identity/totp.js';
import { attempt } from '../../user/attempt.js';
import { given, type Prove, resolveUser, throttleKey, unauthorized } from './method.js';

/** A one-time passcode of one of the user's credentials of type `totp`. */
export const proveTotp: Prove = async (app, identity, { address }) => {
  const { user: reference } = given(identity.totp, 'totp');
  const user = await resolveUser(app, reference);
  const { passcode } = reference;
  const proved = await attempt(app, user, {
    // a right password must not make wrong passcodes forgotten
    key: `totp/${throttleKey(reference, user, address)}`,
    secret: passcode,
    prove: (one) => usePasscode(app, one?.id ?? '', passcode),
  });
  if (!user?.enabled || !proved) throw unauthorized();
  return { userId: user.id };
};

/** True when the passcode is one of the user's now, and neither it nor a later one has been used. */
async function usePasscode(app: App, userId: string, passcode: string): Promise<boolean> {
  const newest = stepOf(Date.now());
  for (const credential of await listCredentials(app, { user_id: userId, type: 'totp' })) {
    const secret = base32Bytes(credential.blob);
    if (!secret) continue;
    for (let back = 0; back <= app.config.totp_included_previous_windows; back++) {
      const step = newest - back;
      if (!sameText(totpCode(secret, step), passcode)) continue;
      const use = { credentialId: credential.id, userId, step };
      if (await app.store.tx((tx) => takeTotpStep(tx, use))) return true;
    }
  }
  return false;
}

function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
