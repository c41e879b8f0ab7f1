import { type Action, ask, machine } from './actions.js';
import { isController, isHost, type Role } from './options.js';
import type { Step } from './run-steps.js';

const PORTS = {
  controller: ['5000/tcp (the APIs)', '5443/tcp (agents)'],
  host: ['5444/tcp (the controller)', '4789/udp (tunnels of other hosts)'],
} as const;

/** What has to be so before anything is changed: root, systemd. Throws otherwise. */
export async function checkMachine(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('this needs root: run it with sudo');
  const state = (await ask('ps', '-p', '1', '-o', 'comm='))?.trim();
  if (state !== 'systemd') {
    throw new Error(
      `this needs a machine whose first process is systemd, and here it is ${state ?? 'unknown'}; to try Maru inside one machine: maru lab up`,
    );
  }
}

/** What the operator should know; nothing is changed for it. */
export function checksStep(role: Role): Step {
  return {
    name: 'checks',
    look: async () => [...(await clock()), ...(await firewall(role))],
  };
}

async function clock(): Promise<Action[]> {
  const synchronised = await ask('timedatectl', 'show', '--property=NTPSynchronized', '--value');
  if (synchronised?.trim() === 'yes') return [];
  const text =
    'the clock of this machine is not synchronised (timedatectl): certificates and tokens need clocks that agree; install chrony or systemd-timesyncd';
  return [{ do: 'warn', text }];
}

async function firewall(role: Role): Promise<Action[]> {
  const ports = [...(isController(role) ? PORTS.controller : []), ...(isHost(role) ? PORTS.host : [])];
  const found = (await activeFirewalls()).join(', ');
  if (!found) return [];
  return [
    {
      do: 'warn',
      text: `this machine has a firewall (${found}): let others reach ${ports.join(', ')}; guests' traffic on bridges passes its FORWARD rules too`,
    },
  ];
}

async function activeFirewalls(): Promise<string[]> {
  const found: string[] = [];
  if (/^Status: active/m.test((await ask('ufw', 'status')) ?? '')) found.push('ufw');
  if ((await ask('systemctl', 'is-active', 'firewalld'))?.trim() === 'active') found.push('firewalld');
  const rules = (await ask('nft', 'list', 'ruleset')) ?? '';
  if (found.length === 0 && /hook (input|forward) [^\n]*policy drop/.test(rules))
    found.push('nftables or iptables with policy drop');
  if ((await machine.stat('/run/firewalld')) && !found.includes('firewalld')) found.push('firewalld');
  return found;
}
