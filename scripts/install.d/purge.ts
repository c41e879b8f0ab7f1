import { type Action, ask, machine } from './actions.js';

const LIBVIRT = ['-c', 'qemu:///system'] as const;
/** In the metadata of every domain that the agent has made. */
const OURS = '<maru:server';
const UNDEFINE = ['--nvram', '--managed-save', '--snapshots-metadata', '--checkpoints-metadata'];

/** Ends and undefines the guests that are Maru's; those of others are not touched. */
export async function purgeGuests(): Promise<Action[]> {
  const uuids = ((await ask('virsh', ...LIBVIRT, 'list', '--all', '--uuid')) ?? '')
    .split('\n')
    .filter(Boolean);
  const actions: Action[] = [];
  for (const uuid of uuids) {
    const xml = (await ask('virsh', ...LIBVIRT, 'dumpxml', uuid)) ?? '';
    if (!xml.includes(OURS)) continue;
    const state = (await ask('virsh', ...LIBVIRT, 'domstate', uuid))?.trim();
    if (state !== 'shut off') actions.push({ do: 'run', argv: ['virsh', ...LIBVIRT, 'destroy', uuid] });
    actions.push({ do: 'run', argv: ['virsh', ...LIBVIRT, 'undefine', uuid, ...UNDEFINE] });
  }
  return actions;
}

/**
 * What removes all that the agent has made for networks, known by the names that only it and Neutron give; br-ex stays. One after
 * the other: with one thing others go.
 */
export const PURGE_NETWORKS: readonly (() => Promise<Action[]>)[] = [
  dnsmasqUnits,
  devices,
  namespaces,
  nftables,
  iptables,
  sets,
];

async function dnsmasqUnits(): Promise<Action[]> {
  const listed = await ask('systemctl', 'list-units', '--plain', '--no-legend', 'maru-dnsmasq-*.service');
  const units = firstWords(listed);
  return units.length > 0 ? [{ do: 'run', argv: ['systemctl', 'stop', ...units] }] : [];
}

async function namespaces(): Promise<Action[]> {
  const names = firstWords(await ask('ip', 'netns', 'list'));
  return names
    .filter((name) => /^(qrouter|qdhcp)-[0-9a-f-]{36}$/.test(name))
    .map((name) => ({ do: 'run', argv: ['ip', 'netns', 'del', name] }));
}

async function devices(): Promise<Action[]> {
  const links = JSON.parse((await ask('ip', '-j', 'link', 'show')) || '[]') as { ifname: string }[];
  return links
    .filter(({ ifname }) => /^(brq|brv|tap|qr-|qg-|ns-)[0-9a-f]{8}-[0-9a-f]{1,2}$|^vxlan-\d+$/.test(ifname))
    .map(({ ifname }) => ({ do: 'run', argv: ['ip', 'link', 'delete', ifname] }));
}

async function nftables(): Promise<Action[]> {
  const tables = ((await ask('nft', 'list', 'tables')) ?? '').split('\n');
  return ['bridge', 'inet']
    .filter((family) => tables.includes(`table ${family} maru`))
    .map((family) => ({ do: 'run', argv: ['nft', 'delete', 'table', family, 'maru'] }));
}

/** True for a line of iptables-save, with or without counters, that is one of our chains, in one, or a jump to one. */
export function isOurRule(line: string): boolean {
  // what is between quotes is a comment: it may say anything
  const bare = line.replace(/^\[\d+:\d+\] /, '').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return /^:maru-|^-A maru-| -[jg] maru-/.test(bare);
}

/** Everything but our chains and what jumps to them is put back as it is. */
async function iptables(): Promise<Action[]> {
  const actions: Action[] = [];
  for (const tool of ['iptables', 'ip6tables']) {
    const rules = (await ask(`${tool}-save`, '-c')) ?? '';
    if (!rules.split('\n').some(isOurRule)) continue;
    actions.push({
      do: 'call',
      say: `take the chains maru-* and the jumps to them out of ${tool}`,
      call: async () => {
        const { stdout } = await machine.read(`${tool}-save`, ['-c']);
        const others = stdout.split('\n').filter((line) => !isOurRule(line));
        await machine.run(`${tool}-restore`, ['-c'], { input: others.join('\n') });
      },
    });
  }
  return actions;
}

async function sets(): Promise<Action[]> {
  const names = ((await ask('ipset', 'list', '-name')) ?? '').split('\n');
  return names
    .filter((name) => /^maru[46]-/.test(name))
    .map((name) => ({ do: 'run', argv: ['ipset', 'destroy', name] }));
}

function firstWords(text: string | null): string[] {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[0] ?? '')
    .filter(Boolean);
}
