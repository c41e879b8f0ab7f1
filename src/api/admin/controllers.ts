import { listControllers } from '../../store/controllers.js';
import type { Operation } from '../shared/operation.js';

/** A controller, as operators see it. */
export interface ControllerSummary {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** isolated: it reaches the database, but no host. */
  readonly state: 'up' | 'isolated' | 'down';
  /** Seconds since it was last heard of, by the database's clock. */
  readonly silence: number;
  /** Hosts whose specs it delivers. */
  readonly hosts: number;
}

export const controllerOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/controllers',
    policy: { name: 'maru:controllers:list', rule: 'rule:context_is_admin' },
    summary: 'List the controllers that share the hosts',
    status: 200,
    handler: async ({ app }) => ({
      controllers: (await listControllers(app.store.read)).map(
        ({ alive, isolated, silence, ...row }): ControllerSummary => ({
          ...row,
          state: !alive ? 'down' : isolated ? 'isolated' : 'up',
          silence: Math.round(silence / 1000),
        }),
      ),
    }),
  },
];
