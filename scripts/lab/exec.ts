import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { enterHost } from './host.js';
import type { LabNames } from './names.js';
import { labNamespaces } from './network.js';

/** The command line that runs `command` in a part of the lab: `outside`, `ctl` (the controller's place) or a host. */
export async function commandIn(
  lab: LabNames,
  place: string,
  command: readonly string[],
): Promise<[string, string[]]> {
  if (/^host\d+$/.test(place)) return ['nsenter', [...(await enterHost(lab, place)), ...command]];
  const namespace = { outside: lab.outsideNs, ctl: lab.controllerNs }[place];
  if (!namespace)
    throw new Error(`lab ${lab.name} has no '${place}': say outside, ctl, or a host such as host1`);
  if (!(await labNamespaces(lab)).includes(namespace))
    throw new Error(`lab ${lab.name} does not run; start it: maru lab up`);
  return ['ip', ['netns', 'exec', namespace, ...command]];
}

/** Runs it with this process's terminal, and gives its exit code. */
export async function labExec(lab: LabNames, place: string, words: readonly string[]): Promise<number> {
  const command = words[0] === '--' ? words.slice(1) : words;
  if (command.length === 0) throw new Error('which command? e.g. maru lab exec host1 -- virsh list');
  const [file, args] = await commandIn(lab, place, command);
  const child = spawn(file, args, { stdio: 'inherit' });
  // the terminal sends these to the command as well, which decides
  for (const name of ['SIGINT', 'SIGQUIT'] as const) process.on(name, () => {});
  for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill(name));
  return await new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`${file}: ${error.message}`)));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
