import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { GiveUp, machine, waitFor } from './commands.js';
import { type LabNames, LOG_FILES, labFiles } from './names.js';
import type { ProgramSpec, ProgramState } from './program.js';

const SCRIPT = fileURLToPath(new URL('./supervisor.js', import.meta.url));

/** Starts the supervisor unless it answers. */
export async function ensureSupervisor(lab: LabNames, apiPort: number): Promise<void> {
  if (await programStates(lab)) return;
  // one that does not answer is of no use, and its programs end with it
  for (const pid of supervisorPids(lab)) machine.kill(pid, 'SIGKILL');
  const logFile = `${labFiles(lab).logs}/${LOG_FILES.supervisor}`;
  const pid = await machine.spawnDetached(process.execPath, [SCRIPT, lab.name, String(apiPort)], { logFile });
  await waitFor(`the lab's supervisor (pid ${pid}, log ${logFile})`, 60_000, async () => {
    if (await programStates(lab)) return true;
    if (!machine.kill(pid, 0))
      throw new GiveUp(`the supervisor ended: ${(await machine.readTail(logFile, 600)).trim()}`);
    return false;
  });
}

/** What the supervisor runs; null when no supervisor answers. */
export async function programStates(lab: LabNames): Promise<ProgramState[] | null> {
  try {
    return (await call(lab, 'GET', '/')) as ProgramState[];
  } catch {
    return null;
  }
}

/** Has a program run from now on; one that runs with the same specification already is left alone. */
export async function runProgram(lab: LabNames, spec: ProgramSpec): Promise<void> {
  await call(lab, 'PUT', `/${spec.name}`, spec);
}

export async function restartProgram(lab: LabNames, name: string): Promise<void> {
  await call(lab, 'POST', `/${name}/restart`);
}

/** Ends the supervisor and all it runs; a supervisor that does not go is killed. */
export async function stopSupervisor(lab: LabNames): Promise<void> {
  for (const pid of supervisorPids(lab)) machine.kill(pid, 'SIGTERM');
  try {
    await waitFor('end of the supervisor', 12_000, async () => supervisorPids(lab).length === 0);
  } catch {
    for (const pid of supervisorPids(lab)) machine.kill(pid, 'SIGKILL');
  }
}

/** Processes that are this lab's supervisor, whatever its pid file says. */
export function supervisorPids(lab: LabNames): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      const [, script, name] = commandLine(entry);
      return script?.endsWith('/scripts/lab/supervisor.js') && name === lab.name;
    })
    .map(Number);
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function call(lab: LabNames, method: string, path: string, content?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socketPath = labFiles(lab).supervisorSocket;
    const sent = request({ socketPath, method, path, timeout: 30_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const answer = JSON.parse(text || '{}') as { error?: string };
        if (response.statusCode === 200) resolve(answer);
        else
          reject(
            new Error(`supervisor of ${lab.name}: ${method} ${path}: ${answer.error ?? response.statusCode}`),
          );
      });
    });
    sent.on('timeout', () =>
      sent.destroy(new Error(`supervisor of ${lab.name}: no answer to ${method} ${path}`)),
    );
    sent.on('error', reject);
    sent.end(content === undefined ? undefined : JSON.stringify(content));
  });
}
