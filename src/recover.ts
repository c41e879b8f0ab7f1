import { existsSync, statSync } from 'node:fs';
import { type Config, loadConfig } from './config.js';
import { Audit } from './core/audit/audit.js';
import { newAdminPassword, readAdminPassword } from './core/identity/admin-password.js';
import { isBootstrapped } from './core/identity/bootstrap.js';
import { createIdentity } from './core/identity/identity.js';
import { type Recovered, recoverAdministrator } from './core/identity/recover.js';
import { createLogger } from './protocol/log.js';
import { DatabaseHeld, holdDatabase } from './store/sole.js';
import { Store } from './store/store.js';

export interface RecoverOptions {
  readonly configFile: string;
  readonly user: string;
  /** Holds the password; null: a new one is made and put into the configured file. */
  readonly passwordFile: string | null;
  readonly dropPolicyOverrides: boolean;
}

/**
 * Recovers the administrator on the controller's database, without a token. Works as the owner of the state directory. An SQLite
 * database is the controller's alone, which keeps in memory what tokens say: throws while one runs. Also throws when the database was never
 * a controller's.
 */
export async function recoverFromHost(
  options: RecoverOptions,
): Promise<Recovered & { readonly passwordFile: string }> {
  const config = loadConfig(options.configFile);
  const given = options.passwordFile === null ? null : readAdminPassword(options.passwordFile);
  becomeOwnerOf(config.state_dir);
  const held = hold(config);
  try {
    const store = await Store.open(config.database);
    try {
      // no controller that starts at this moment does the same
      return await store.exclusively('start', () => recover(config, store, options, given));
    } finally {
      await store.close();
    }
  } finally {
    held.release();
  }
}

async function recover(
  config: Config,
  store: Store,
  { user, passwordFile, dropPolicyOverrides }: RecoverOptions,
  given: string | null,
) {
  if (!(await isBootstrapped(store.read))) throw neverUsed(config);
  const audit = new Audit({ store, log: createLogger('error') });
  const app = { config, store, audit, identity: createIdentity(config, store) };
  const made = given === null ? newAdminPassword(config.admin_password_file) : null;
  const password = given ?? made!.password;
  try {
    const recovered = await recoverAdministrator(app, { user, password, dropPolicyOverrides });
    made?.keep();
    return { ...recovered, passwordFile: passwordFile ?? config.admin_password_file };
  } catch (error) {
    made?.discard();
    throw error;
  } finally {
    await audit.close();
  }
}

function hold(config: Config): { release(): void } {
  const [, file] = /^sqlite:(.*)$/.exec(config.database) ?? [];
  // opening it would make it
  if (file !== undefined && !existsSync(file)) throw neverUsed(config);
  try {
    return holdDatabase(config.database);
  } catch (error) {
    if (!(error instanceof DatabaseHeld)) throw error;
    throw new Error(
      `${error.message} To recover the administrator: systemctl stop maru-controller, this command, systemctl start maru-controller. Guests go on running.`,
    );
  }
}

function neverUsed({ state_dir }: Config): Error {
  return new Error(
    `the database that controller.database names was never a controller's (state directory ${state_dir}): is this the controller's configuration? The first start of a controller makes an administrator`,
  );
}

/** Files that root leaves in the controller's directory could not be opened by the controller; and PostgreSQL may ask who somebody is. */
function becomeOwnerOf(directory: string): void {
  const { uid, gid } = statSync(directory);
  if (process.geteuid?.() !== 0 || uid === 0) return;
  process.umask(0o077);
  process.setgroups!([gid]);
  process.setgid!(gid);
  process.setuid!(uid);
}
