import { listInactiveUsers, noteActive, readLogin } from '../../store/identity/logins.js';
import { type UserRow, users } from '../../store/identity/users.js';
import type { App } from '../app.js';
import { optionOf } from './options.js';

const DAY_MS = 86_400_000;

/** Notes that a user has authenticated; false when the user had not for too long, and is disabled now. */
export async function admitActive(app: App, user: UserRow): Promise<boolean> {
  const limit = lastDayOfGrace(app);
  const day = today();
  if (limit === null) {
    // nothing depends on it as yet
    app.identity.activeDays.add(user.id, day);
    return true;
  }
  await app.identity.activeDays.flush();
  const login = await readLogin(app.store.read, user.id);
  const last = login?.last_active_on ?? user.created_at?.slice(0, 10) ?? null;
  if (last !== null && last <= limit && !optionOf(user, 'ignore_user_inactivity')) {
    await disable(app, user);
    return false;
  }
  if (login?.last_active_on !== day) await app.store.tx((tx) => noteActive(tx, user.id, day));
  return true;
}

/** Periodic work: disables the users who have not authenticated for too long. */
export async function disableInactiveUsers(app: App): Promise<void> {
  const limit = lastDayOfGrace(app);
  if (limit === null) return;
  await app.identity.activeDays.flush();
  for (const user of await listInactiveUsers(app.store.read, limit)) {
    if (optionOf(user, 'ignore_user_inactivity')) continue;
    await disable(app, user);
    app.log.info('user disabled: has not authenticated for too long', { user: user.id });
  }
}

/** This day, `2026-01-31`. */
export function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** Who was last active on this day, or before, counts as inactive; null: nobody does. */
function lastDayOfGrace({ config }: App): string | null {
  const days = config.disable_user_account_days_inactive;
  return days === null ? null : new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);
}

async function disable(app: App, { id, name }: UserRow): Promise<void> {
  await app.identity.write(async (tx) => {
    await users.update(tx, id, { enabled: 0 });
    await app.identity.tokens.revokeAll(tx, 'user', id);
    const target = { type: 'user', id, name };
    await app.audit.record({ action: 'identity:disable_inactive_user', target }, tx);
  });
}
