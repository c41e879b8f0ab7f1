import { randomUUID } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { attempt, machine, sh, waitFor } from './commands.js';
import { HOST_DIRECTORIES, hostConfiguration } from './host-files.js';
import { type LabNames, labFiles } from './names.js';
import { ensureHostLinks, ensureNamespace, processesIn, unplugHost } from './network.js';

/**
 * Starts a lab host unless it runs: network, mount, UTS and PID namespaces with an init and libvirt of its own. Killing the init
 * ends everything in it, guests and nested namespaces included.
 */
export async function ensureHost(lab: LabNames, host: string, hosts: readonly string[]): Promise<void> {
  const files = labFiles(lab);
  const directory = files.hostDirectory(host);
  if ((await initPid(lab, host)) !== null) {
    await ensureHostLinks(lab, host);
    return;
  }
  // without its init a host's namespace has nothing worth keeping, and perhaps old links
  await attempt('ip', 'netns', 'del', lab.hostNs(host));
  await ensureNamespace(lab.hostNs(host));
  await ensureHostLinks(lab, host);
  for (const path of HOST_DIRECTORIES) await machine.makeDirectory(`${directory}/${path}`, 0o755);
  await machine.makeDirectory(files.hostMount, 0o755);
  await shareCapabilities(lab, host);
  const uuid = (await machine.readFileIfExists(`${directory}/uuid`)) ?? randomUUID();
  await machine.writeFile(`${directory}/uuid`, uuid, 0o644);
  for (const [path, content] of Object.entries(hostConfiguration(lab, host, uuid, hosts))) {
    await machine.writeFile(`${directory}/${path}`, content, 0o644);
  }
  const unshare = ['unshare', '-m', '-u', '-p', '-f', '--mount-proc', '--propagation', 'private'];
  await machine.spawnDetached(
    'ip',
    ['netns', 'exec', lab.hostNs(host), ...unshare, 'bash', `${directory}/init.sh`],
    {
      logFile: `${files.logs}/${host}.log`,
    },
  );
}

/** Waits for the host's libvirt; its first look at QEMU's capabilities takes seconds, later hosts inherit what it found. */
export async function waitForLibvirt(lab: LabNames, host: string): Promise<void> {
  await waitFor(
    `libvirt on ${host} (log: ${labFiles(lab).logs}/${host}.log)`,
    240_000,
    async () =>
      (
        await machine.run('nsenter', [...(await enterHost(lab, host)), 'virsh', 'capabilities'], {
          timeoutMs: 60_000,
        })
      ).stdout,
  );
  const cache = `${labFiles(lab).hostDirectory(host)}/cache-libvirt`;
  await cp(cache, labFiles(lab).capabilitiesCache, { recursive: true });
}

/** Arguments for nsenter that lead into a running host. Throws when it does not run. */
export async function enterHost(lab: LabNames, host: string): Promise<string[]> {
  const pid = await initPid(lab, host);
  if (pid === null) throw new Error(`${host} of lab ${lab.name} does not run; start it: maru lab up`);
  return ['-t', String(pid), '-m', '-n', '-u', '-p', '--'];
}

/** The machine's id of the process that is number 1 in the host; null when the host does not run. */
export async function initPid(lab: LabNames, host: string): Promise<number | null> {
  for (const pid of await processesIn(lab.hostNs(host))) {
    const status = await machine.readFileIfExists(`/proc/${pid}/status`).catch(() => null);
    // the namespace's own number comes last; a zombie holds nothing any more
    if (status && /^NSpid:\t\d+\t1$/m.test(status) && !/^State:\tZ/m.test(status)) return pid;
  }
  return null;
}

/** Ends a host and everything in it. */
export async function killHost(lab: LabNames, host: string): Promise<void> {
  const pid = await initPid(lab, host);
  if (pid !== null) {
    machine.kill(pid, 'SIGKILL');
    await waitFor(`end of ${host}`, 60_000, async () => (await initPid(lab, host)) === null);
  }
}

/**
 * Cuts a host's power. The kernel takes namespaces down in its own time, and until then what is in them goes on forwarding; a machine
 * without power does not, so its cables come out first.
 */
export async function switchOff(lab: LabNames, host: string): Promise<void> {
  await unplugHost(lab, host);
  await killHost(lab, host);
}

async function shareCapabilities(lab: LabNames, host: string): Promise<void> {
  const cache = labFiles(lab).capabilitiesCache;
  const target = `${labFiles(lab).hostDirectory(host)}/cache-libvirt`;
  if (await machine.stat(cache)) await cp(cache, target, { recursive: true });
}

/** Loads what hosts need from the kernel, where it comes as modules; bridges of the machine itself stay unfiltered by it. */
export async function loadKernelModules(): Promise<void> {
  const setting = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  const filteredBefore = (await machine.stat(setting)) !== null;
  for (const module of [
    'br_netfilter',
    'bridge',
    'veth',
    'vxlan',
    'tun',
    'kvm',
    'ip_set',
    'nf_conntrack',
    'ifb',
  ]) {
    await attempt('modprobe', '-q', module);
  }
  if (!filteredBefore && (await machine.stat(setting))) {
    for (const family of ['iptables', 'ip6tables', 'arptables'])
      await sh('sysctl', '-qw', `net.bridge.bridge-nf-call-${family}=0`);
  }
}
