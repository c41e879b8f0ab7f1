import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { machine, waitFor } from '../lab/commands.js';
import { AGENT_LISTENER_PORT, CONTROLLER_ADDRESS } from '../lab/names.js';
import type { BenchLab } from './bench-lab.js';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const FIRST_PORT = 6001;

interface HostLine {
  readonly name: string;
  readonly state: string;
  readonly simulated: boolean;
  readonly vcpus: number;
}

/** Runs the work with `count` simulated hosts that have joined the lab's controller; they end with it. */
export async function withSimulatedHosts<T>(
  bench: BenchLab,
  count: number,
  work: () => Promise<T>,
): Promise<T> {
  const agents: ChildProcess[] = [];
  try {
    for (let number = 0; number < count; number++) agents.push(await startSimulated(bench, number));
    await waitFor('the simulated hosts to join', 60_000, async () => {
      const up = (await hosts(bench)).filter((h) => h.simulated && h.state === 'up');
      return up.length >= count;
    });
    return await work();
  } finally {
    for (const agent of agents) agent.kill('SIGKILL');
  }
}

export async function hosts(bench: BenchLab): Promise<readonly HostLine[]> {
  return (await bench.admin.call<{ hosts: HostLine[] }>('maru', 'GET', '/hosts')).hosts;
}

async function startSimulated(bench: BenchLab, number: number): Promise<ChildProcess> {
  const name = `simulated${number}`;
  const directory = `${bench.lab.directory}/${name}`;
  await machine.makeDirectory(directory, 0o700);
  const agent = [
    `  name: ${name}`,
    `  state_dir: ${directory}`,
    `  controller: https://${CONTROLLER_ADDRESS}:${AGENT_LISTENER_PORT}`,
    `  listen: ${CONTROLLER_ADDRESS}:${FIRST_PORT + number}`,
    `  underlay_ip: ${CONTROLLER_ADDRESS}`,
    '  log_level: warn',
  ];
  await machine.writeFile(`${directory}/maru.yaml`, `agent:\n${agent.join('\n')}\n`, 0o600);
  const { token } = await bench.admin.call<{ token: string }>('maru', 'POST', '/hosts/tokens', {
    host_name: name,
  });
  const command = [process.execPath, MAIN, 'agent', '--config', `${directory}/maru.yaml`, '--simulate'];
  return spawn('ip', ['netns', 'exec', bench.lab.controllerNs, ...command], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, MARU_JOIN_TOKEN: token },
  });
}
