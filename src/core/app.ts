import type { Config } from '../config.js';
import type { Logger } from '../protocol/log.js';
import type { LogSource } from '../protocol/log-source.js';
import type { Store } from '../store/store.js';
import type { Tasks } from '../tasks/tasks.js';
import type { Audit } from './audit/audit.js';
import type { Authenticator } from './auth.js';
import type { HostGateway } from './gateway.js';
import type { Identity } from './identity/identity.js';
import type { ImageFiles } from './image/files.js';
import type { RulePolicy } from './policy/engine.js';

/**
 * What core functions and API handlers work with; built once in src/controller.ts. A service that needs more
 * (identity's token keys, the image store) adds a field here.
 */
export interface App {
  readonly config: Config;
  readonly store: Store;
  readonly log: Logger;
  /** What this process has logged. */
  readonly ownLog: LogSource;
  readonly auth: Authenticator;
  readonly policy: RulePolicy;
  /** Who did what. */
  readonly audit: Audit;
  /** Tokens, and writes to what tokens depend on. */
  readonly identity: Identity;
  /** Reads and jobs on hosts that are not desired state: console logs, plans. */
  readonly hosts: HostGateway;
  /** The bytes of images. */
  readonly images: ImageFiles;
  /** Durable work of several steps. */
  readonly tasks: Tasks;
}
