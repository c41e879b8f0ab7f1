import { users } from '../../store/identity/users.js';
import { nowText } from '../../store/store.js';
import type { App } from '../app.js';
import { hashPassword, isKnown, verifyPassword } from '../identity/passwords.js';
import { unauthorized } from '../token/methods/method.js';
import { attempt } from './attempt.js';
import { checkOwnChoice, keepPassword, newPassword } from './password.js';
import { isRenewed } from './renew-hash.js';

/**
 * Lets users replace their own password, be it expired, proving that they know it; it ends their tokens. 401 when the proof
 * fails, 400 when the new one may not be chosen.
 */
export async function changePassword(
  app: App,
  id: string,
  passwords: { readonly original: string; readonly next: string },
  address: string,
): Promise<void> {
  const user = await users.get(app.store.read, id);
  const { original } = passwords;
  const proved = await attempt(app, user, {
    key: `${id}/${address}`,
    secret: original,
    known: ({ password_hash }) => isKnown(password_hash, original),
    prove: (one) => verifyPassword(one?.password_hash ?? null, original, address),
  });
  if (!user?.enabled || !proved) throw unauthorized();
  app.audit.note({ target: { type: 'user', id: user.id, name: user.name } });
  await checkOwnChoice(app, app.store.read, user, passwords.next);
  const change = newPassword(app.config, user.options, await hashPassword(passwords.next), 'user');
  await app.identity.write(async (tx) => {
    await app.store.lockFamily(tx, id, 'user');
    const now = await users.get(tx, id);
    // somebody else has replaced it meanwhile: what was proved no longer holds
    if (!now || (now.password_hash !== user.password_hash && !isRenewed(user, now))) throw unauthorized();
    await keepPassword(tx, app.config, now, nowText());
    await users.update(tx, id, change);
    await app.identity.tokens.revokeAll(tx, 'user', id);
  });
}
