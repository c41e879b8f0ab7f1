import type { PlanStep } from '../../src/protocol/messages.js';

/** Findings that are spelt out; of more, the number is given. */
const SPELT_OUT = 4;

/**
 * What was found, in an operator's words, from the steps that would bring the object back: `bridge brq… was missing`. Steps are worded
 * as in a plan; those that only follow from another (a bridge that is made anew is also set up) are left out.
 */
export function inWords(steps: readonly PlanStep[]): { readonly action: string; readonly detail: string } {
  const findings: string[] = [];
  const made = new Set<string>();
  for (const step of steps) {
    const finding = wordOf(step, made);
    if (finding !== null && !findings.includes(finding)) findings.push(finding);
  }
  if (findings.length === 0) findings.push(...steps.map(({ action, detail }) => `${action}: ${detail}`));
  const shown = findings.slice(0, SPELT_OUT).join('; ');
  const more = findings.length - SPELT_OUT;
  const [first] = steps;
  return {
    action: `${first?.action ?? ''} ${first?.detail ?? ''}`.trim().slice(0, 500),
    detail: `${shown}${more > 0 ? `; and ${more} more` : ''}`.slice(0, 4000),
  };
}

/** Null: it says nothing that another step does not say. `made` collects what has to be made anew. */
function wordOf(step: PlanStep, made: Set<string>): string | null {
  const { action, detail } = step;
  if (action === 'ip') return hostDevice(detail, made);
  const inside = /^ip -n (\S+)$/.exec(action)?.[1];
  if (inside) return made.has(inside) ? null : namespaceDevice(detail, inside);
  const table = /^(ip6?tables \S+)(?: in (\S+))?$/.exec(action);
  if (table) return table[2] && made.has(table[2]) ? null : rule(detail, table[1]!, table[2], made);
  const sysctl = /^sysctl in (\S+)$/.exec(action)?.[1];
  if (sysctl) return made.has(sysctl) ? null : `kernel setting was not ${detail} in ${sysctl}`;
  switch (action) {
    case 'ip netns add':
      made.add(detail);
      return `namespace ${detail} was missing`;
    case 'ip netns del':
      return `namespace ${detail} belongs to nothing`;
    case 'bridge':
      return forwarding(detail, made);
    case 'sysctl':
      return `kernel setting was not ${detail}`;
    case 'ipset':
      return setMember(detail, made);
    case 'nft add':
      return `nft element was missing: ${detail}`;
    case 'nft delete':
      return `nft element should not be there: ${detail}`;
    case 'nft':
      return `nft ${detail.replace(/^replace /, '')} was missing or its rules were changed`;
    case 'write':
      return `file ${detail} was missing or changed`;
    case 'start':
      return `dnsmasq was not running (${detail.replace(/^dnsmasq --conf-file=/, '')})`;
    case 'signal':
      return null;
    default:
      // disks and domains are worded where they are found
      return detail;
  }
}

function hostDevice(line: string, made: Set<string>): string | null {
  const words = line.split(' ');
  const name = after(words, 'name') ?? after(words, 'dev') ?? '';
  if (/^(link|tuntap) add /.test(line)) {
    const kind = line.startsWith('tuntap') ? 'tap' : after(words, 'type');
    const again = made.has(name);
    made.add(name);
    return again ? null : `${KINDS[kind ?? ''] ?? 'device'} ${name} was missing`;
  }
  if (made.has(name)) return null;
  if (line.startsWith('link del')) {
    made.add(name);
    return `device ${name} was not as it had been made`;
  }
  const master = after(words, 'master');
  if (master) return `${name} was not in bridge ${master}`;
  const mtu = after(words, 'mtu');
  if (mtu) return `MTU of ${name} was not ${mtu}`;
  if (line.endsWith(' up')) return `${name} was down`;
  // what else is set follows from a port that left its bridge, or is a flag by its own name
  return `${name}: ${line.replace(/^link set dev \S+ /, '')} was not set`;
}

const KINDS: Readonly<Record<string, string>> = {
  bridge: 'bridge',
  vxlan: 'tunnel device',
  vlan: 'VLAN device',
  tap: 'tap device',
  veth: 'device pair',
};

function namespaceDevice(line: string, netns: string): string | null {
  const words = line.split(' ');
  const device = after(words, 'dev') ?? '';
  if (line.startsWith('addr replace')) return `address ${words[2]} was missing on ${device} in ${netns}`;
  if (line.startsWith('addr del')) return `address ${words[2]} on ${device} in ${netns} is not ours`;
  if (line.startsWith('route replace')) return `route to ${words[2]} was missing or different in ${netns}`;
  if (line.startsWith('route del')) return `route to ${words[2]} in ${netns} is not ours`;
  if (line.endsWith(' up')) return `${device} was down in ${netns}`;
  // announces an address that was set just before
  if (after(words, 'address')) return null;
  return `${device} in ${netns}: ${line} was needed`;
}

function rule(detail: string, table: string, netns: string | undefined, made: Set<string>): string | null {
  const where = netns ? `${table} in ${netns}` : table;
  const [, sign, command, chain = '', text = ''] = /^([+-]) -(\w) (\S+) ?(.*)$/.exec(detail) ?? [];
  if (sign === undefined) return `${detail.replace(/^order of/, 'the order of')} was changed (${where})`;
  if (command === 'N') {
    made.add(`${where} ${chain}`);
    return `chain ${chain} was missing (${where})`;
  }
  if (made.has(`${where} ${chain}`)) return null;
  if (command === 'X') return `chain ${chain} is of no use (${where})`;
  return sign === '+'
    ? `rule was missing from ${chain} (${where}): ${text}`
    : `rule in ${chain} is not as written by the agent (${where}): ${text}`;
}

function forwarding(line: string, made: Set<string>): string | null {
  const words = line.split(' ');
  const device = after(words, 'dev') ?? '';
  if (made.has(device)) return null;
  return line.startsWith('fdb del')
    ? `forwarding entry of ${words[2]} on ${device} is not ours`
    : `forwarding entry of ${words[2]} was missing on ${device}`;
}

function setMember(line: string, made: Set<string>): string | null {
  const [command, set = '', member = ''] = line.split(' ');
  if (command === 'create') {
    made.add(set);
    return `ipset ${set} was missing`;
  }
  if (command === 'destroy') return `ipset ${set} is of no use`;
  if (made.has(set)) return null;
  return command === 'add'
    ? `${member} was missing from ipset ${set}`
    : `${member} should not be in ipset ${set}`;
}

function after(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}
