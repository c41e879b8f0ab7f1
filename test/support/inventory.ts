import { expect } from 'vitest';
import { type Lab, until } from './lab.js';
import { machine } from './machine.js';

/** Everything of a host that a server, network or router could leave behind. */
export type Inventory = Readonly<Record<string, readonly string[]>>;

/** What an agent that starts makes for a moment, to ask its neighbours who has the addresses of its routers. */
const PROBES = /^(qprobe-|prb)/;

/** Takes stock of a lab host: domains, disks, mounts, processes, and of each network namespace links, rules, tables and sets. */
export async function inventory(lab: Lab, host: string): Promise<Inventory> {
  const init = (await lab.status()).hosts.find(({ name }) => name === host)?.init_pid;
  const inside = async (command: string, ...args: string[]) => {
    const enter = ['-t', String(init), '-m', '-n', '-u', '-p', '--', command, ...args];
    return (await machine.read('nsenter', enter)).stdout;
  };
  const namespaces = lines(await inside('ip', 'netns', 'list'))
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => !PROBES.test(name));
  const network: Record<string, readonly string[]> = {};
  for (const namespace of [null, ...namespaces]) {
    const run = (command: string, ...args: string[]) =>
      namespace ? inside('ip', 'netns', 'exec', namespace, command, ...args) : inside(command, ...args);
    const of = (what: string) => `${what} of ${namespace ?? 'the host'}`;
    network[of('links')] = lines(await run('ip', '-br', 'link'))
      .map((line) => line.split(/[ @]/)[0] ?? '')
      .filter((name) => !PROBES.test(name));
    network[of('addresses')] = lines(await run('ip', '-br', '-4', 'addr'))
      .map((line) => line.replace(/ +/g, ' '))
      .filter((line) => !PROBES.test(line));
    network[of('iptables')] = ruleLines(await run('iptables-save'));
    network[of('ip6tables')] = ruleLines(await run('ip6tables-save'));
    network[of('nft tables')] = ruleLines(await run('nft', 'list', 'ruleset'));
    network[of('ipsets')] = lines(await run('ipset', 'list', '-n'));
    // those that were learned from traffic age out by themselves
    network[of('forwarding entries')] = lines(await run('bridge', 'fdb', 'show')).filter(
      (line) => /\b(tap|vxlan)/.test(line) && /\b(permanent|static|self)\b/.test(line),
    );
  }
  return {
    domains: lines(await inside('virsh', 'list', '--all', '--name')),
    files: files(await listing(`/var/lib/${lab.facts.lab}/hosts/${host}`)),
    processes: processes(await inside('ps', '-eo', 'pid=,ppid=,args=')),
    // what is mounted elsewhere on the machine meanwhile shows here too
    mounts: lines(await inside('cat', '/proc/1/mounts'))
      .map((line) => line.split(' ')[1] ?? '')
      .filter((path) => !path.startsWith('/var/tmp/') && !path.startsWith('/run/netns/qprobe-'))
      .sort(),
    namespaces: [...namespaces].sort(),
    ...network,
  };
}

/** Fails unless the host's inventory is the given one soon: what was deleted leaves it a moment after the API has forgotten it. */
export async function expectInventory(lab: Lab, host: string, before: Inventory): Promise<void> {
  let now: Inventory = {};
  const look = async () => {
    now = await inventory(lab, host);
    return now;
  };
  const same = () => JSON.stringify(now) === JSON.stringify(before);
  await until('inventory as before', 180, look, same).catch(() => {});
  // the very look that ended the wait: another one may fall into work that the agent does by itself
  expect(now).toEqual(before);
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim());
}

/** Rules without what changes by itself: counters, comments with times, and tables that are read for the first time and empty. */
function ruleLines(text: string): string[] {
  return lines(text)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.replace(/ ?\[\d+:\d+\]/, '').replace(/ ?packets \d+ bytes \d+/g, ''));
}

/** Paths below a directory, whatever comes and goes meanwhile. */
async function listing(directory: string): Promise<string[]> {
  return lines((await machine.read('find', [directory, '-printf', '%P\\n'], { okCodes: [0, 1] })).stdout);
}

/** Files of guests and volumes; logs, caches and the agent's own record change by themselves. */
function files(names: readonly string[]): string[] {
  return names
    .filter((name) => /^agent\/(servers|volumes)\/|^lib-libvirt\/qemu\/|^etc-libvirt\/qemu\//.test(name))
    .sort();
}

/**
 * Long-running programs by what they were started with. Those of this very look are left out, and the commands that an agent or libvirt is
 * running at the moment: they look at their host by themselves from time to time, and until a child has become its command it shows as a
 * second agent. Guests are nobody's children.
 */
function processes(text: string): string[] {
  const all = lines(text).map((line) => {
    const [, pid, parent, args] = /^ *(\d+) +(\d+) (.*)$/.exec(line) ?? [];
    return { pid, parent, args: args ?? line };
  });
  const daemons = all.filter(({ args }) => /\/main\.js agent |^libvirtd /.test(args));
  const parents = new Set(daemons.map(({ pid }) => pid));
  return all
    .filter(({ parent, args }) => !parents.has(parent) || args === 'nft monitor')
    .map(({ args }) => args)
    .filter((line) => !/^(ps -eo|virsh|qemu-img|ip|bash|sleep) ?/.test(line) && !line.includes('<defunct>'))
    .map((line) => line.slice(0, 120))
    .sort();
}
