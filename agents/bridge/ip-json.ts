import type {
  AddressState,
  Family,
  LinkState,
  NeighbourState,
  NextHop,
  RouteState,
  RuleState,
} from './model.js';

/** Reads `ip -N -j -d link show`. */
export function parseLinks(json: string): readonly LinkState[] {
  const raw = entries(json);
  const kinds = new Map(raw.map((link) => [text(link.ifname), kindOf(link)]));
  return raw.map((link) => {
    const master = text(link.master);
    const info = object(link.linkinfo);
    return {
      name: text(link.ifname) ?? '',
      index: Number(link.ifindex),
      flags: list(link.flags).map(String),
      mtu: Number(link.mtu),
      mac: text(link.address) ?? '',
      hardwareType: Number(
        /\d+/.exec(text(link.link_type) ?? '')?.[0] ?? (link.link_type === 'ether' ? 1 : 0),
      ),
      master,
      masterKind: master === null ? null : (text(info.info_slave_kind) ?? kinds.get(master) ?? null),
      kind: kindOf(link),
      parent: text(link.link),
      details: object(info.info_data),
      addressGeneration: text(link.inet6_addr_gen_mode),
    };
  });
}

/** Reads the addresses of one device out of `ip -N -j -d addr show dev DEV`. */
export function parseAddresses(json: string, device: string): readonly AddressState[] {
  const found = entries(json).find((entry) => entry.ifname === device);
  return list(found?.addr_info).map((raw) => {
    const entry = object(raw);
    const label = text(entry.label);
    const family: Family = entry.family === 'inet6' ? 6 : 4;
    return {
      family,
      address: text(entry.local) ?? '',
      prefix: Number(entry.prefixlen),
      peer: text(entry.address),
      broadcast: text(entry.broadcast),
      scope: Number(entry.scope),
      label: label === device ? null : label,
      metric: number(entry.metric),
      validSeconds: lifetime(entry.valid_life_time),
      preferredSeconds: lifetime(entry.preferred_life_time),
      dynamic: entry.dynamic === true,
      noPrefixRoute: entry.noprefixroute === true,
      manageTemporary: entry.mngtmpaddr === true,
      temporary: entry.temporary === true,
      secondary: entry.secondary === true,
      noDad: entry.nodad === true,
      homeAddress: entry.home === true,
      tentative: entry.tentative === true,
      dadFailed: entry.dadfailed === true,
    };
  });
}

/** Reads `ip -N -j -d -4|-6 route show table all`. */
export function parseRoutes(json: string, family: Family): readonly RouteState[] {
  return entries(json).map((raw) => {
    const metrics = Object.assign({}, ...list(raw.metrics).map(object)) as Record<string, unknown>;
    const hops = raw.nexthops === undefined ? (raw.dev === undefined ? [] : [raw]) : list(raw.nexthops);
    return {
      family,
      table: Number(raw.table ?? MAIN_TABLE),
      type: Number(raw.type ?? 1),
      destination: text(raw.dst) ?? '',
      source: text(raw.src),
      tos: text(raw.tos),
      protocol: Number(raw.protocol ?? 3),
      scope: Number(raw.scope ?? 0),
      preferredSource: text(raw.prefsrc),
      metric: number(raw.metric),
      preference: text(raw.pref),
      expires: number(raw.expires),
      metrics: Object.fromEntries(
        Object.entries(metrics)
          .filter(([name]) => name in ROUTE_METRICS)
          .map(([name, value]) => [ROUTE_METRICS[name]!, name === 'ecn' ? 'ecn' : String(value)]),
      ),
      nextHops: hops.map((hop) => nextHop(object(hop))),
      unknown: [
        ...Object.keys(raw).filter((key) => !ROUTE_KEYS.has(key)),
        ...Object.keys(metrics).filter((name) => !(name in ROUTE_METRICS)),
        ...[raw.type, raw.table, raw.protocol, raw.scope].filter((value) => Number.isNaN(Number(value ?? 0))),
      ].map(String),
    };
  });
}

/** Reads `ip -N -j -d -4|-6 rule show`. */
export function parseRules(json: string, family: Family): readonly RuleState[] {
  return entries(json).map((raw) => {
    const rest: string[] = [];
    if ('not' in raw) rest.push('not');
    for (const [key, length, word] of [
      ['src', 'srclen', 'from'],
      ['dst', 'dstlen', 'to'],
    ] as const) {
      if (raw[key] !== undefined)
        rest.push(word, raw[length] === undefined ? String(raw[key]) : `${raw[key]}/${raw[length]}`);
    }
    if (raw.fwmark !== undefined)
      rest.push('fwmark', raw.fwmask === undefined ? String(raw.fwmark) : `${raw.fwmark}/${raw.fwmask}`);
    if (raw.uid_start !== undefined) rest.push('uidrange', `${raw.uid_start}-${raw.uid_end}`);
    for (const port of ['sport', 'dport'] as const) {
      if (raw[port] !== undefined) rest.push(port, String(raw[port]));
      else if (raw[`${port}_start`] !== undefined)
        rest.push(port, `${raw[`${port}_start`]}-${raw[`${port}_end`]}`);
    }
    for (const [key, word] of RULE_WORDS) {
      // -N prints the protocol's number after this word
      if (raw[key] !== undefined) rest.push(word, String(raw[key]).replace('ipproto-', ''));
    }
    if ('l3mdev' in raw) rest.push('l3mdev');
    if (raw.action !== undefined) rest.push('type', String(raw.action));
    return {
      family,
      priority: Number(raw.priority),
      iif: text(raw.iif),
      oif: text(raw.oif),
      rest,
      unknown: Object.keys(raw).filter((key) => !RULE_KEYS.has(key)),
    };
  });
}

/** Reads `ip -N -j -d neigh show dev DEV`: those whose MAC is known. */
export function parseNeighbours(json: string): readonly NeighbourState[] {
  return entries(json)
    .map((raw) => ({ raw, state: list(raw.state).map(String) }))
    .filter(({ raw, state }) => raw.lladdr !== undefined && !state.some((s) => UNUSABLE.has(s)))
    .map(({ raw, state }) => ({
      address: String(raw.dst),
      mac: String(raw.lladdr),
      permanent: state.includes('PERMANENT'),
      router: 'router' in raw,
    }));
}

export const MAIN_TABLE = 254;

const UNUSABLE = new Set(['FAILED', 'INCOMPLETE', 'NOARP', 'NONE']);

const ROUTE_KEYS = new Set(
  'type dst src tos gateway via dev table protocol scope prefsrc metric pref expires metrics nexthops flags weight error'.split(
    ' ',
  ),
);

/** Names in JSON → words of `ip route`. */
const ROUTE_METRICS: Readonly<Record<string, string>> = {
  mtu: 'mtu',
  advmss: 'advmss',
  window: 'window',
  hoplimit: 'hoplimit',
  initcwnd: 'initcwnd',
  initrwnd: 'initrwnd',
  reordering: 'reordering',
  quickack: 'quickack',
  congestion: 'congctl',
  ecn: 'features',
};

const RULE_WORDS = [
  ['tos', 'tos'],
  ['ipproto', 'ipproto'],
  ['table', 'lookup'],
  ['suppress_prefixlen', 'suppress_prefixlength'],
  ['suppress_ifgroup', 'suppress_ifgroup'],
  ['goto', 'goto'],
  ['protocol', 'protocol'],
] as const;

const RULE_KEYS = new Set(
  [
    'priority not src srclen dst dstlen fwmark fwmask iif oif uid_start uid_end l3mdev action',
    'sport sport_start sport_end dport dport_start dport_end iif_detached oif_detached',
    ...RULE_WORDS.map(([key]) => key),
  ]
    .join(' ')
    .split(' '),
);

type Raw = Record<string, unknown>;

function nextHop(raw: Raw): NextHop {
  const via = object(raw.via);
  return {
    gateway: text(raw.gateway),
    via: via.host === undefined ? null : String(via.host),
    dev: String(raw.dev),
    weight: number(raw.weight) ?? 1,
    onlink: list(raw.flags).includes('onlink'),
  };
}

function kindOf(link: Raw): string | null {
  return text(object(link.linkinfo).info_kind);
}

/** Old versions of iproute2 print nothing at all, not even [], when there is nothing; some add empty objects. */
function entries(json: string): Raw[] {
  if (json.trim() === '') return [];
  return (JSON.parse(json) as Raw[]).filter((entry) => Object.keys(entry).length > 0);
}

function object(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | null {
  return value === undefined || value === null ? null : String(value);
}

function number(value: unknown): number | null {
  return value === undefined || value === null ? null : Number(value);
}

function lifetime(value: unknown): number | null {
  return value === undefined || Number(value) >= 0xffffffff ? null : Number(value);
}
