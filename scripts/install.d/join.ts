import { type Action, ask, machine } from './actions.js';
import { CONFIG, MAIN, NODE } from './layout.js';
import type { Role } from './options.js';
import type { Step } from './run-steps.js';
import { configured, readSettings } from './settings.js';

/**
 * Lets the host join before its agent first runs, so that a wrong token is said here and is nowhere afterwards: it is passed in
 * the environment of one short process. `makeToken` is used where the controller is on the same machine.
 */
export function joinStep(
  role: Role,
  token: () => Promise<string | undefined>,
  makeToken: (host: string) => Promise<string>,
): Step {
  return {
    name: 'join',
    advice:
      'A token is made on the controller with: maru host token --name HOST (good for an hour, once). Is the address in --controller reachable from here?',
    async look(): Promise<Action[]> {
      const given = await token();
      const joined = (await machine.stat(`${(await readSettings()).agent.state_dir}/identity.json`)) !== null;
      if (joined && (given === undefined || role === 'all-in-one')) return [];
      if (!joined && given === undefined && role !== 'all-in-one') {
        throw new Error(
          'this host has not joined, and there is no token: give --token, --token-file or MARU_JOIN_TOKEN',
        );
      }
      const where = String((await configured('agent', 'controller')) ?? 'the controller of the token');
      return [
        {
          do: 'call',
          say: `join ${where} as host '${String((await configured('agent', 'name')) ?? '')}'`,
          call: async () => {
            const name = String(await configured('agent', 'name'));
            await join(given ?? (await makeToken(name)));
          },
        },
      ];
    },
  };
}

async function join(token: string): Promise<void> {
  await machine.run(NODE, [MAIN, 'agent', '--config', CONFIG, '--join-only'], {
    env: { MARU_JOIN_TOKEN: token },
    timeoutMs: 120_000,
  });
}

/** What keeps the agent from being ready: null when it runs and listens. */
export async function agentProblem(): Promise<string | null> {
  const state = (await ask('systemctl', 'is-active', 'maru-agent.service'))?.trim() ?? 'unknown';
  if (state !== 'active') return `the unit is ${state}`;
  const port = String((await configured('agent', 'listen')) ?? ':5444')
    .split(':')
    .at(-1);
  const sockets = (await ask('ss', '-Hltn', `sport = :${port}`)) ?? '';
  return sockets.trim() ? null : `nothing listens on port ${port}`;
}
