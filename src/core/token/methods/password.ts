import { MaruError } from '../../errors.js';
import { isKnown, verifyPassword } from '../../identity/passwords.js';
import { attempt } from '../../user/attempt.js';
import { optionOf } from '../../user/options.js';
import { renewHash } from '../../user/renew-hash.js';
import { hasExpired } from '../times.js';
import { given, type Prove, resolveUser, throttleKey, unauthorized } from './method.js';

/** Name, or id, and password. */
export const provePassword: Prove = async (app, identity, { address }) => {
  const { user: reference } = given(identity.password, 'password');
  const user = await resolveUser(app, reference);
  const { password } = reference;
  const proved = await attempt(app, user, {
    key: throttleKey(reference, user, address),
    secret: password,
    known: ({ password_hash }) => isKnown(password_hash, password),
    prove: (one) => verifyPassword(one?.password_hash ?? null, password, address),
  });
  if (!user || !proved || !user.enabled) throw unauthorized();
  if (hasExpired(user.password_expires_at) && !optionOf(user, 'ignore_password_expiry')) {
    throw new MaruError(
      'unauthorized',
      `The password is expired and needs to be changed for user: ${user.id}.`,
    );
  }
  await renewHash(app, user, password);
  return { userId: user.id };
};
