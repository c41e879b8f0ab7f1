import { attempt, machine, pause, waitFor } from './commands.js';
import { stopSupervisor } from './control.js';
import { killHost } from './host.js';
import { type LabNames, roleOf } from './names.js';
import { labNamespaces, processesIn } from './network.js';

/**
 * Removes every trace of a lab: supervisor, controller, agents, hosts with their guests, namespaces, mounts, state. What there is
 * to remove is read from the kernel, not from the lab's own files, so it also works after a start or an end that was killed.
 */
export async function labDown(lab: LabNames): Promise<void> {
  await stopSupervisor(lab);
  const namespaces = await labNamespaces(lab);
  for (const namespace of namespaces) {
    const role = roleOf(lab, namespace);
    if (role?.startsWith('host')) await killHost(lab, role);
  }
  for (const namespace of namespaces) await killAllIn(namespace);
  for (const namespace of namespaces) await attempt('ip', 'netns', 'del', namespace);
  for (const point of (await mountsBelow(lab.directory)).reverse()) await attempt('umount', '-l', point);
  await removeState(lab);
  const left = await labNamespaces(lab);
  if (left.length)
    throw new Error(
      `lab ${lab.name}: namespaces ${left.join(', ')} could not be removed; who uses them: ip netns pids`,
    );
}

async function killAllIn(namespace: string): Promise<void> {
  await waitFor(`end of the processes in ${namespace}`, 60_000, async () => {
    // again each time: they may have begun others meanwhile
    const left = await processesIn(namespace);
    for (const pid of left) machine.kill(pid, 'SIGKILL');
    return left.length === 0;
  });
}

async function mountsBelow(directory: string): Promise<string[]> {
  const mounts = await machine.readFile('/proc/self/mounts');
  const points = mounts.split('\n').map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => point.startsWith(`${directory}/`));
}

/** A killed process may still be writing its last line: a directory that filled again is removed again. */
async function removeState(lab: LabNames): Promise<void> {
  for (let tries = 5; ; tries--) {
    try {
      await machine.removeTree(lab.directory);
      return;
    } catch (error) {
      if (tries === 0) throw error;
      await pause(200);
    }
  }
}
