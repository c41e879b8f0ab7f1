import { link, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** Everything of a machine is named after it: DIRECTORY/NAME with DIRECTORY/NAME.owner, namespace and control group maru-sd-NAME. */
const DIRECTORY = '/var/tmp/maru-systemd';
const GONE_MS = 90_000;

/** Makes the name this process's own, and gives the machine's directory. Throws when a living process has it. */
export async function takeName(name: string): Promise<string> {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) throw new Error(`'${name}' is no name for a machine`);
  await mkdir(`${DIRECTORY}/${name}`, { recursive: true });
  const written = `${ownerFile(name)}-${process.pid}`;
  await writeFile(written, `${process.pid} ${await startTime(process.pid)}\n`);
  try {
    // with its text from the start: one without is taken for a leftover
    await link(written, ownerFile(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new Error(
      `machine ${name} is in use: ${ownerFile(name)} says by process ${await textOf(ownerFile(name))}`,
    );
  } finally {
    await rm(written, { force: true });
  }
  return `${DIRECTORY}/${name}`;
}

/** Removes the machines whose test has ended without doing so. */
export async function removeLeftovers(): Promise<void> {
  for (const file of await readdir(DIRECTORY).catch(() => [])) {
    if (!file.endsWith('.owner')) continue;
    const [pid = '', started] = (await textOf(`${DIRECTORY}/${file}`)).trim().split(' ');
    // without text it has just been removed by its owner
    if (pid && (await startTime(Number(pid))) !== started)
      await removeMachine(file.slice(0, -'.owner'.length));
  }
}

/** Ends and removes all of a machine, whatever there is of it. */
export async function removeMachine(name: string): Promise<void> {
  const cgroup = await cgroupOf(name);
  await killCgroup(cgroup);
  await emptyCgroup(cgroup);
  await rmdir(cgroup).catch(unlessMissing);
  await removeNetns(`maru-sd-${name}`);
  for (const mount of [`${DIRECTORY}/${name}/root`, `${DIRECTORY}/${name}`]) {
    while ((await textOf('/proc/self/mounts')).includes(` ${mount} `)) await execa('umount', ['-l', mount]);
  }
  await rm(`${DIRECTORY}/${name}`, { recursive: true, force: true });
  await rm(ownerFile(name), { force: true });
  await rmdir(DIRECTORY).catch(() => {});
}

/** The machine's control group in the version 2 hierarchy. */
export async function cgroupOf(name: string): Promise<string> {
  const mount = (await textOf('/proc/self/mounts'))
    .split('\n')
    .find((line) => line.split(' ')[2] === 'cgroup2');
  if (!mount) throw new Error('no cgroup2 hierarchy is mounted on this computer');
  return `${mount.split(' ')[1]}/maru-sd-${name}`;
}

/** Kills all processes of a control group at once and waits for their end. */
export async function killCgroup(cgroup: string): Promise<void> {
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const events = await textOf(`${cgroup}/cgroup.events`);
    if (!events.includes('populated 1')) return;
    if (Date.now() > deadline) throw new Error(`${cgroup}: its processes do not end within ${GONE_MS} ms`);
    await writeFile(`${cgroup}/cgroup.kill`, '1');
    await sleep(20);
  }
}

/** Removes the groups below one whose processes are gone. */
export async function emptyCgroup(cgroup: string): Promise<void> {
  for (const entry of await readdir(cgroup, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory()) continue;
    await emptyCgroup(`${cgroup}/${entry.name}`);
    await rmdir(`${cgroup}/${entry.name}`);
  }
}

/** Removes a network namespace and, at once, its cables: the kernel would do so some time later. */
export async function removeNetns(netns: string): Promise<void> {
  const all: string[] = await readdir('/run/netns').catch(() => []);
  if (!all.includes(netns)) return;
  const { stdout } = await execa('ip', ['-n', netns, '-j', 'link', 'show', 'type', 'veth'], {
    reject: false,
  });
  for (const link of parsed(stdout)) {
    await execa('ip', ['-n', netns, 'link', 'delete', link.ifname], { reject: false });
  }
  await execa('ip', ['netns', 'delete', netns]);
}

function parsed(json: string): { readonly ifname: string }[] {
  try {
    return JSON.parse(json) as { ifname: string }[];
  } catch {
    return [];
  }
}

/** When a process started, in ticks since boot: with its id it names a process for ever. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat: string = await textOf(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

const ownerFile = (name: string) => `${DIRECTORY}/${name}.owner`;
const textOf = (path: string) => readFile(path, 'utf8').catch(() => '');

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
