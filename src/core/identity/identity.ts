import type { Config } from '../../config.js';
import type { Store, Tx } from '../../store/store.js';
import { TokenKeys } from '../token/keys.js';
import { TokenService } from '../token/service.js';
import { ActiveDays } from '../user/active-days.js';
import { readKeyFile } from './cipher.js';
import { IdentityEpoch } from './epoch.js';
import { KeyRing } from './key-ring.js';
import { Sealing } from './sealing.js';
import { FailureThrottle } from './throttle.js';

/** What the identity service keeps in memory besides its rows. */
export interface Identity {
  readonly tokens: TokenService;
  /** Signs receipts of those who have yet to prove more. */
  readonly receipts: TokenKeys;
  readonly throttle: FailureThrottle;
  readonly activeDays: ActiveDays;
  /** Seals secrets that must be read again. */
  readonly sealing: Sealing;
  /** Runs a write transaction whose rows tokens depend on: what tokens say is looked up anew from then on. */
  write<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
  /** Runs something after such writes, of any controller, before the next request is judged. */
  follow(run: () => Promise<void>): void;
  /** Resolves when what follows has been run for every write so far, or has failed and is tried again by the next request. */
  settled(): Promise<void>;
}

/** Reads the key in the state directory (made at first start) that opens the identity service's keys in the database. */
export function createIdentity(config: Config, store: Store): Identity {
  const epoch = new IdentityEpoch(store);
  const master = readKeyFile(`${config.state_dir}/credential-key`);
  const tokenKeys = new KeyRing(store, master, 'token');
  return {
    tokens: new TokenService(config, store, epoch, tokenKeys),
    receipts: new TokenKeys(tokenKeys, 0),
    throttle: new FailureThrottle(),
    activeDays: new ActiveDays(store),
    sealing: new Sealing(store, master, new KeyRing(store, master, 'credential')),
    write: (body) => epoch.write(body),
    follow: (run) => epoch.follow(run),
    settled: () => epoch.settled(),
  };
}
