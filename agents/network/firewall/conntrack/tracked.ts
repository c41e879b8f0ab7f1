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

/** What a listing of connections was read as. */
export interface TrackedList {
  readonly tracked: readonly Tracked[];
  /** Lines that the listing has. */
  readonly lines: number;
  /** Lines that were taken apart: the first ones. */
  readonly read: number;
}

/**
 * Output of `conntrack -L -o extended`. Of more than `most` lines only the first are taken apart and the others counted: a table
 * may have hundreds of thousands, and nothing else happens in the meantime.
 */
export function parseTracked(text: string, most: number): TrackedList {
  const tracked: Tracked[] = [];
  let lines = 0;
  let read = 0;
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    if (end > at) {
      lines++;
      if (read < most) {
        read++;
        const one = trackedOf(text.slice(at, end));
        if (one) tracked.push(one);
      }
    }
    at = end + 1;
  }
  return { tracked, lines, read };
}

const HEAD = /^ipv[46]\s+\d+\s+(\S+)\s+\d+\s+\d+\s+(?:([A-Z][A-Z_0-9]+)\s)?/;
const FIELD = /(?:^|\s)([a-z-]+)=(\S+)/g;
/** Fields that tell connections of one protocol and zone apart. */
const TELLING = ['src', 'dst', 'sport', 'dport', 'type', 'code', 'id'];

function trackedOf(line: string): Tracked | null {
  const head = HEAD.exec(line);
  if (!head) return null;
  const fields = new Map<string, string[]>();
  for (const [, name, value] of line.matchAll(FIELD)) {
    const has = fields.get(name!);
    if (has) has.push(value!);
    else fields.set(name!, [value!]);
  }
  const first = (name: string) => fields.get(name)?.[0];
  const [source, replySource] = fields.get('src') ?? [];
  const [destination, replyDestination] = fields.get('dst') ?? [];
  if (!source || !replySource || !destination || !replyDestination) return null;
  const number = (value: string | undefined) => (value === undefined ? null : Number(value));
  const zone = Number(first('zone') ?? 0);
  return {
    identity: [head[1], zone, ...TELLING.map((name) => fields.get(name)?.join() ?? '')].join(' '),
    protocol: head[1]!,
    state: head[2] ?? null,
    zone,
    source: normaliseIp(source),
    destination: normaliseIp(destination),
    sourcePort: number(first('sport')),
    destinationPort: number(first('dport')),
    replySource: normaliseIp(replySource),
    replyDestination: normaliseIp(replyDestination),
  };
}
