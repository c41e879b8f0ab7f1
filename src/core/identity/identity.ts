import type { Config } from '../../config.js';
import type { Store, Tx } from '../../store/store.js';
import { TokenService } from '../token/service.js';
import { IdentityEpoch } from './epoch.js';
import { Sealing } from './sealing.js';
import { FailureThrottle } from './throttle.js';

/** What the identity service keeps in memory besides its rows. */
export interface Identity {
  readonly tokens: TokenService;
  readonly throttle: FailureThrottle;
  /** Seals secrets that must be read again. */
  readonly sealing: Sealing;
  /** Runs a write transaction whose rows tokens depend on: what tokens say is looked up anew from then on. */
  write<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
}

/** Opens the token keys in the state directory (made at first start). */
export function createIdentity(config: Config, store: Store): Identity {
  const epoch = new IdentityEpoch(store);
  return {
    tokens: new TokenService(config, store, epoch),
    throttle: new FailureThrottle(),
    sealing: new Sealing(`${config.state_dir}/credential-key`),
    write: (body) => epoch.write(body),
  };
}
