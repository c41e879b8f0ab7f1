import { type Action, ask, ensureDirectory } from './actions.js';
import { CONTROLLER_STATE, USER } from './layout.js';
import type { Step } from './run-steps.js';

/** The system user that the controller runs as. */
export function accountStep(): Step {
  return {
    name: 'user',
    async look(): Promise<Action[]> {
      const account = (await ask('getent', 'passwd', USER))
        ? []
        : [
            {
              do: 'run' as const,
              argv: [
                'useradd',
                '--system',
                '--user-group',
                '--home-dir',
                CONTROLLER_STATE,
                '--shell',
                '/usr/sbin/nologin',
                USER,
              ],
            },
          ];
      return [...account, ...(await ensureDirectory(CONTROLLER_STATE, 0o750, `${USER}:${USER}`))];
    },
  };
}
