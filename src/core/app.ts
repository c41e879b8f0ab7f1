import type { Logger } from '../log.js';
import type { Store } from '../store/store.js';
import type { Config } from '../config.js';
import type { HostGateway } from './gateway.js';

/** What core functions and API handlers work with; built once in src/controller.ts. */
export interface App {
  readonly config: Config;
  readonly store: Store;
  readonly log: Logger;
  /** Reads and jobs on hosts that are not desired state: console logs, plans. */
  readonly hosts: HostGateway;
}
