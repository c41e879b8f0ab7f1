import type { Host } from '../../host/host.js';
import { BridgeRefusal, type ManagerFile } from '../manager.js';
import type { Snapshot } from '../model.js';
import { type ClientHandOver, inOwnUnit } from './client-hand-over.js';
import { handOverDhcpcd } from './dhcpcd.js';

/** A DHCP client of its own process that works on the uplink. */
export interface DhcpClient {
  readonly program: 'dhclient' | 'dhcpcd' | 'udhcpc';
  readonly pid: number;
  readonly argv: readonly string[];
  /** The unit or program that started it, when it is not a plain one: NetworkManager. */
  readonly owner: 'NetworkManager' | null;
}

/** The DHCP clients of this network namespace that have the uplink, whoever started them. */
export async function dhcpClientsOn(host: Host, uplink: string): Promise<readonly DhcpClient[]> {
  const found: DhcpClient[] = [];
  const own = await namespaceOf(host, 'self');
  for (const pid of await host.listDirectory('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const text = (await host.readFileIfExists(`/proc/${pid}/cmdline`).catch(() => null)) ?? '';
    const client = clientOf(text, uplink);
    if (!client || (await namespaceOf(host, pid)) !== own) continue;
    const owner = client.argv.some((word) => /NetworkManager|nm-dhcp/.test(word)) ? 'NetworkManager' : null;
    found.push({ ...client, pid: Number(pid), owner });
  }
  // one that serves another process of dhcpcd is no client of its own
  const helps = ({ argv }: DhcpClient) => /^dhcpcd: \[(?!manager|master)/.test(argv[0] ?? '');
  return found.some((c) => c.program === 'dhcpcd' && !helps(c)) ? found.filter((c) => !helps(c)) : found;
}

/**
 * Ends clients on `from` without giving their leases back and starts them on `to` with the same leases. Refuses programs whose lease
 * cannot be taken along.
 */
export async function handOverClients(
  host: Host,
  clients: readonly DhcpClient[],
  from: string,
  to: string,
  snapshot: Snapshot,
): Promise<ClientHandOver | null> {
  if (clients.length === 0) return null;
  const parts: ClientHandOver[] = [];
  const systemd = (await host.stat('/run/systemd/system')) !== null;
  // one that starts a program shows itself twice for that moment
  const dhcpcds = new Map(clients.filter(isDhcpcd).map((client) => [client.argv.join(' '), client]));
  if (dhcpcds.size > 1) throw severalDhcpcd(dhcpcds, from);
  for (const client of clients) {
    if (isDhcpcd(client)) {
      if (dhcpcds.get(client.argv.join(' ')) !== client) continue;
      parts.push(await handOverDhcpcd(host, client, from, to, snapshot));
      continue;
    }
    if (client.program !== 'dhclient')
      throw new BridgeRefusal(
        `${client.program} (pid ${client.pid}) has ${from}, and it keeps no lease that could be taken to ${to}`,
        `Let ifup use dhcpcd instead: apt-get install dhcpcd-base, ifdown ${from}, remove udhcpc, ifup ${from} (on the host's console), and try again; or configure the address statically.`,
      );
    const leaseFile = optionValue(client.argv, '-lf');
    const text = leaseFile === null ? null : await host.readFileIfExists(leaseFile);
    parts.push(handOverDhclient(client, text, from, to, systemd));
  }
  return {
    trialFiles: parts.flatMap((p) => p.trialFiles),
    handBackFirst: parts.flatMap((p) => p.handBackFirst),
    handBack: parts.flatMap((p) => p.handBack),
    warnings: parts.flatMap((p) => p.warnings),
    dhcp: {
      before: parts.flatMap((p) => p.dhcp.before),
      after: parts.flatMap((p) => p.dhcp.after),
    },
    permanent: parts.flatMap((p) => p.permanent),
  };
}

function isDhcpcd({ program }: DhcpClient): boolean {
  return program === 'dhcpcd';
}

/** One for each family: both would be ended, and which command of ifup's is whose cannot be told. */
function severalDhcpcd(clients: ReadonlyMap<string, DhcpClient>, from: string): BridgeRefusal {
  const names = [...clients].map(([title, { pid }]) => `${title} (pid ${pid})`).join(' and ');
  return new BridgeRefusal(
    `${names} have ${from}, and only one dhcpcd can be taken along`,
    `Let one have both families, which it takes without -4 and -6: ifdown ${from}, dhcpcd -4 -x ${from} and dhcpcd -6 -x ${from} for what still runs, only one "iface ${from} inet dhcp" in the interfaces files, ifup ${from} (on the host's console), and try again.`,
  );
}

/** Pure: `leases` is the text of its lease file, null when there is none; `systemd`: clients are started in units of their own. */
export function handOverDhclient(
  client: Pick<DhcpClient, 'pid' | 'argv'>,
  leases: string | null,
  from: string,
  to: string,
  systemd = false,
): ClientHandOver {
  const { argv, pid } = client;
  const family = argv.includes('-6') ? '6' : '';
  const leaseName = `dhclient${family}.${to}.leases`;
  // in /run: AppArmor's profile of dhclient allows these names there
  const trialLease = `/run/${leaseName}`;
  const oldLease = optionValue(argv, '-lf');
  const pidFile = `/run/dhclient${family}.${to}.pid`;
  const options = argv.slice(1).filter((word, at) => {
    const before = argv[at] ?? '';
    return !(
      ['-nw', '-d', '-1', '-w', '-r', '-x', from].includes(word) ||
      /^(-lf|-pf|-n)$/.test(word) ||
      /^(-lf|-pf)$/.test(before)
    );
  });
  const start = ['dhclient', ...options, '-nw', '-lf', trialLease, '-pf', pidFile, to];
  const oldPid = optionValue(argv, '-pf');
  const startAgain = ['dhclient', ...argv.slice(1).filter((word) => !/^(-nw|-d|-1|-w)$/.test(word))];
  const back = [...startAgain.slice(0, -1), '-nw', startAgain.at(-1)!];
  const kept = leases === null ? '' : renameLeases(leases, from, to);
  const trial: ManagerFile = { path: trialLease, content: kept, mode: 0o644 };
  const permanentLease =
    oldLease?.includes(from) === true ? oldLease.replaceAll(from, to) : `/var/lib/dhcp/${leaseName}`;
  return {
    trialFiles: [trial],
    dhcp: {
      // at once, and not by -r: a lease that is given back may be given to another
      before: [['kill', '-KILL', String(pid)]],
      after: [systemd ? inOwnUnit(start) : start],
    },
    handBackFirst: [['pkill', '-KILL', '-F', pidFile, 'dhclient']],
    handBack: [systemd ? inOwnUnit(back) : back],
    permanent: [{ path: permanentLease, content: kept, mode: 0o644 }],
    warnings: [
      ...(leases === null || kept === ''
        ? [
            `no lease of dhclient for ${from} was found${oldLease ? ` in ${oldLease}` : ''}: the server may give ${to} another address`,
          ]
        : []),
      ...(oldPid === null
        ? [`dhclient on ${from} has no pid file of its own; after a revert it is started as it was`]
        : []),
    ],
  };
}

/** The leases of `from`, said to be of `to`; those of other interfaces in the same file are left out. */
export function renameLeases(leases: string, from: string, to: string): string {
  const blocks = leases.match(/^(?:default-duid .*;|lease6? \{[\s\S]*?^\})$/gm) ?? [];
  const own = blocks.filter((b) => b.startsWith('default-duid') || b.includes(`interface "${from}";`));
  return own.map((block) => `${block.replace(`interface "${from}";`, `interface "${to}";`)}\n`).join('');
}

/** Pure: what a process's command line (as in /proc, words ended by NUL) says of a DHCP client that has the uplink; null when none. */
export function clientOf(cmdline: string, uplink: string): Pick<DhcpClient, 'program' | 'argv'> | null {
  const argv = cmdline.split('\0').filter((word) => word !== '');
  const program = programOf(argv);
  return program && worksOn(argv, program, uplink) ? { program, argv } : null;
}

function programOf(argv: readonly string[]): DhcpClient['program'] | null {
  // dhcpcd rewrites its title, which is one word then: "dhcpcd: eth0 [ip4]", "dhcpcd: [manager] [ip4] [ip6]"
  const name = argv[0]?.split(/[\s:]/)[0]?.split('/').at(-1);
  if (name === 'dhclient' || name === 'dhcpcd' || name === 'udhcpc') return name;
  return name === 'busybox' && argv[1] === 'udhcpc' ? 'udhcpc' : null;
}

function worksOn(argv: readonly string[], program: DhcpClient['program'], uplink: string): boolean {
  if (program === 'dhcpcd') return dhcpcdWorksOn(argv.join(' '), uplink);
  if (argv.slice(1).some((word) => word === uplink || word === `-i${uplink}`)) return true;
  // without a name it takes every interface
  return (
    program === 'dhclient' &&
    argv.slice(1).every((word, at) => word.startsWith('-') || /^-\w+f$/.test(argv[at] ?? ''))
  );
}

/** The manager has every interface, and so has one that names none; its helpers ("[privileged proxy]") say nothing. */
function dhcpcdWorksOn(title: string, uplink: string): boolean {
  if (/\[(manager|master)\]/.test(title)) return true;
  const words = title
    .replaceAll(/\[[^\]]*\]/g, ' ')
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(1);
  // values of options, such as `-f FILE`, are no interfaces
  const names = words.filter(
    (word, at) => !word.startsWith('-') && !/^-[cCefFhIilmoOQrsStuvWxXyzZ]$/.test(words[at - 1] ?? ''),
  );
  if (names.length === 0) return !/\[[^\]]*(proxy|actioneer)\]/.test(title);
  return names.includes(uplink);
}

function optionValue(argv: readonly string[], option: string): string | null {
  const at = argv.indexOf(option);
  return at < 0 ? null : (argv[at + 1] ?? null);
}

async function namespaceOf(host: Host, pid: string): Promise<string> {
  const { stdout } = await host.read('readlink', [`/proc/${pid}/ns/net`], { okCodes: [0, 1] });
  return stdout.trim();
}
