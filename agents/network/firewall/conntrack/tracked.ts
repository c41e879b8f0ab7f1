import { normaliseIp } from '../../../../src/net/ip.js';

/** A tracked connection in both directions. */
export interface Tracked {
  /** Of all that tells it from others. */
  readonly identity: string;
  /** As conntrack names it: tcp, udp, icmp … */
  readonly protocol: string;
  /** Of protocols that have states, such as `ESTABLISHED`. */
  readonly state: string | null;
  readonly zone: number;
  /** Of its first packet. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number | null;
  readonly destinationPort: number | null;
  /** Of the answers: where they differ from the first packet's, it is translated. */
  readonly replySource: string;
  readonly replyDestination: string;
}

/** Output of `conntrack -L -o extended`. */
export function parseTracked(text: string): Tracked[] {
  const found: Tracked[] = [];
  for (const line of text.split('\n')) {
    const head = /^ipv[46]\s+\d+\s+(\S+)\s+\d+\s+\d+\s+(?:([A-Z][A-Z_0-9]+)\s)?/.exec(line);
    if (!head) continue;
    const all = (name: string) =>
      [...line.matchAll(new RegExp(`(?:^|\\s)${name}=(\\S+)`, 'g'))].map(([, value]) => value!);
    const [sources, destinations] = [all('src'), all('dst')];
    if (sources.length < 2 || destinations.length < 2) continue;
    const number = (value: string | undefined) => (value === undefined ? null : Number(value));
    const zone = Number(all('zone')[0] ?? 0);
    const words = ['src', 'dst', 'sport', 'dport', 'type', 'code', 'id'].map((name) => all(name).join());
    found.push({
      identity: [head[1], zone, ...words].join(' '),
      protocol: head[1]!,
      state: head[2] ?? null,
      zone,
      source: normaliseIp(sources[0]!),
      destination: normaliseIp(destinations[0]!),
      sourcePort: number(all('sport')[0]),
      destinationPort: number(all('dport')[0]),
      replySource: normaliseIp(sources[1]!),
      replyDestination: normaliseIp(destinations[1]!),
    });
  }
  return found;
}
