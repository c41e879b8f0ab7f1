import type { Host } from '../../host/host.js';
import { words } from '../lines.js';
import { BridgeRefusal } from '../manager.js';
import type { Snapshot } from '../model.js';
import { type ClientHandOver, inOwnUnit } from './client-hand-over.js';
import type { DhcpClient } from './dhcp-client.js';

/**
 * Ends dhcpcd on `from` without giving its lease back and starts it on `to` with the same lease, which is a file that names no
 * interface. Its identity (DUID and the MAC's end) is the same on both. Refuses one that has several interfaces, and one that ifup
 * would not start as it runs now.
 */
export async function handOverDhcpcd(
  host: Host,
  client: DhcpClient,
  from: string,
  to: string,
  snapshot: Snapshot,
): Promise<ClientHandOver> {
  const title = client.argv.join(' ');
  if (!new RegExp(`^dhcpcd: ${from.replaceAll('.', '\\.')}( |$)`).test(title))
    throw new BridgeRefusal(
      `${title} (pid ${client.pid}) has more than ${from}, and would put addresses on it again`,
      `Let ifup start one for ${from} alone: systemctl disable --now dhcpcd, ifdown ${from}, ifup ${from}; then try again.`,
    );
  const families = familiesOf(title);
  const { stdout, stderr } = await host.read('ifup', ['--no-act', '--force', from], { okCodes: [0, 1] });
  const command = `${stdout}\n${stderr}`
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(\S*\/)?dhcpcd( |$)/.test(line) && line.endsWith(` ${from}`))
    .find((line) => startsAs(line, families));
  if (command === undefined)
    throw new BridgeRefusal(
      `${title} (pid ${client.pid}) has ${from}, but ifup would not start it so (ifup --no-act --force ${from})`,
      `Stop it and what starts it, or remove the other DHCP clients that ifup prefers; ifdown ${from}, ifup ${from}, and try again.`,
    );
  const systemd = (await host.stat('/run/systemd/system')) !== null;
  const hasLease = (await host.stat(leaseFile(from))) !== null;
  return planDhcpcd({ command, from, to, metric: leasedMetric(snapshot), hasLease, systemd });
}

export interface DhcpcdMove {
  /** As ifup starts it; its last word is `from`. */
  readonly command: string;
  readonly from: string;
  readonly to: string;
  /** Of its routes now; null when it has none. */
  readonly metric: number | null;
  readonly hasLease: boolean;
  readonly systemd: boolean;
}

/** Pure. */
export function planDhcpcd({ command, from, to, metric, hasLease, systemd }: DhcpcdMove): ClientHandOver {
  const options = command.slice(0, -from.length).trim();
  // by itself it takes one from the device's index, which is another for a bridge: other routes would win than before
  const same = metric === null || / -m /.test(`${options} `) ? '' : ` -m ${words([metric])}`;
  // -b: at once in the background; whether the address is there is checked anyway
  const start = (line: string) => {
    const argv = ['sh', '-c', line];
    return systemd ? inOwnUnit(argv) : argv;
  };
  return {
    trialFiles: [],
    dhcp: {
      before: [end(from), takeLease(from, to)],
      after: [start(`exec ${options} -b${same} ${words([to])}`)],
    },
    handBackFirst: [end(to)],
    handBack: [start(`exec ${options} -b ${words([from])}`)],
    permanent: [],
    warnings: hasLease
      ? []
      : [`no lease of dhcpcd for ${from} was found: the server may give ${to} another address`],
  };
}

/** Of what it works for: `dhcpcd: eth0 [ip4] [ip6]`. */
function familiesOf(title: string): Families {
  return { ip4: title.includes('[ip4]'), ip6: title.includes('[ip6]') };
}

interface Families {
  readonly ip4: boolean;
  readonly ip6: boolean;
}

/** Whether a command line is for these families; without an option its configuration says for which. */
function startsAs(line: string, { ip4, ip6 }: Families): boolean {
  const options = line.split(' ');
  const says = (...names: readonly string[]) => names.some((name) => options.includes(name));
  return !(ip6 && says('-4', '--ipv4only')) && !(ip4 && says('-6', '--ipv6only'));
}

/** The metric of the routes that a DHCP client of its own made; null when there are none. */
export function leasedMetric({ routes, device }: Snapshot): number | null {
  const own = routes.filter(
    (r) => r.family === 4 && r.protocol === DHCP && r.nextHops.some((h) => h.dev === device),
  );
  return (own.find(({ destination }) => destination === 'default') ?? own[0])?.metric ?? null;
}

/**
 * With all its helpers, which are processes of its session, and at once: when it ends as it likes it takes its addresses along. Its
 * part of /etc/resolv.conf is said anew by the next one.
 */
function end(device: string): readonly string[] {
  const script = [
    'for file in "/run/dhcpcd/$1.pid" "/run/dhcpcd/$1-4.pid" "/run/dhcpcd/$1-6.pid"; do',
    '[ -r "$file" ] && read -r pid < "$file" && read -r line < "/proc/$pid/stat" || continue',
    `case $line in *"(dhcpcd)"*) set -- "$1" \${line##*) }; pkill -KILL -s "$5" dhcpcd ;; esac`,
    'done 2>/dev/null',
    'rm -f /run/dhcpcd/hook-state/resolv.conf/"$1".*',
  ];
  return ['sh', '-c', script.join('\n'), 'sh', device];
}

/** Binary, and so copied as it is; one that stays behind says only who has been lent what. */
function takeLease(from: string, to: string): readonly string[] {
  const script =
    'for end in lease lease6; do [ ! -e "$1.$end" ] || cp -p "$1.$end" "$2.$end" || exit 1; done';
  return ['sh', '-c', script, 'sh', `${LEASES}/${from}`, `${LEASES}/${to}`];
}

function leaseFile(device: string): string {
  return `${LEASES}/${device}.lease`;
}

const LEASES = '/var/lib/dhcpcd';
/** RTPROT_DHCP. */
const DHCP = 16;
