import { isIP } from 'node:net';
import {
  MOST_TRACE_CHECKS,
  type TraceCheck,
  type TraceReply,
  type TraceRequest,
} from '../../src/protocol/trace.js';

type Test = (value: unknown) => boolean;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const KEY = /^(network|dhcp|port|security-group|group-members|router|server|volume)\/[^\s/]{1,200}$/;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const id: Test = (value) => typeof value === 'string' && UUID.test(value);
const mac: Test = (value) => typeof value === 'string' && MAC.test(value);
const key: Test = (value) => typeof value === 'string' && KEY.test(value);
const ip: Test = (value) => typeof value === 'string' && isIP(value) !== 0;
const cidr: Test = (value) => typeof value === 'string' && ip(value.split('/')[0]) && !/\s/.test(value);
const text: Test = (value) => typeof value === 'string' && value.length < 200;
const family: Test = (value) => value === 4 || value === 6;
const flag: Test = (value) => typeof value === 'boolean';
const orNull =
  (test: Test): Test =>
  (value) =>
    value === null || test(value);
const list =
  (test: Test): Test =>
  (value) =>
    Array.isArray(value) && value.length <= MOST_TRACE_CHECKS && value.every(test);
const oneOf =
  (...words: readonly string[]): Test =>
  (value) =>
    typeof value === 'string' && words.includes(value);
const fields =
  (tests: Readonly<Record<string, Test>>): Test =>
  (value) =>
    isObject(value) && Object.entries(tests).every(([name, test]) => test(value[name]));

const segment = fields({
  id,
  type: oneOf('flat', 'vlan', 'vxlan', 'local'),
  physical_network: orNull(text),
  segmentation_id: orNull((value) => Number.isInteger(value) && (value as number) >= 0),
});
const netns = fields({ of: oneOf('router', 'dhcp'), id });
const device = fields({
  of: oneOf('router', 'dhcp'),
  id,
  role: oneOf('gateway', 'interface', 'dhcp'),
  port_id: id,
});
const router = fields({
  id,
  floating_ips: list(isObject),
  interfaces: list(isObject),
  routes: list(isObject),
});
const port = fields({
  id,
  network_id: id,
  mac,
  fixed_ips: list(ip),
  allowed_address_pairs: list(fields({ ip_address: cidr, mac_address: mac })),
  security_group_ids: list(id),
});

/** What each kind of check must have: a kind without an entry does not compile. */
const CHECKS: Readonly<Record<TraceCheck['kind'], Test>> = {
  told: fields({ objects: list(fields({ key, revision: text })) }),
  reported: fields({ objects: list(key) }),
  bridge: fields({ network: segment }),
  uplink: fields({ network: segment }),
  namespace: fields({ netns }),
  plug: fields({ port_id: id, network: segment, carrier: flag }),
  device: fields({ device, mac }),
  addresses: fields({ device, addresses: list(cidr) }),
  route: fields({ device, gateway: ip }),
  nat: fields({ part: oneOf('dnat', 'snat', 'forward', 'forward6'), router }),
  tunnel: fields({ network: segment }),
  fdb: fields({ network: segment, mac: orNull(mac), vtep: ip }),
  'fdb-peer': fields({ network: segment, macs: list(mac), vtep: ip }),
  'fdb-table': fields({ network: segment }),
  underlay: fields({
    vtep: ip,
    mtu: (value) => Number.isInteger(value) && (value as number) > 100 && (value as number) <= 65_535,
  }),
  filter: fields({
    port,
    groups: list(fields({ id, rules: list(isObject) })),
    dhcp: orNull(fields({ mac, addresses: list(cidr) })),
    rule: orNull(isObject),
  }),
  members: fields({
    group_id: id,
    network_id: id,
    family,
    members: list(cidr),
    address: orNull(cidr),
  }),
  tracking: fields({ network: segment, address: orNull(ip) }),
  translations: fields({ router_id: id, floating: orNull(fields({ address: ip, fixed: ip })) }),
  'anti-spoofing': fields({ port }),
  trusted: fields({ port_ids: list(id) }),
  shared: fields({ family: (value) => value === undefined || family(value) }),
  guest: fields({ server_id: id }),
  dnsmasq: fields({ network_id: id }),
  neighbour: fields({ device, address: ip, mac: orNull(mac) }),
};

/** What is wrong with a question about what is on the host as a whole, or null; of its checks `problemOfCheck` says it. */
export function checkTrace(value: unknown): string | null {
  if (!isObject(value) || !Array.isArray(value.checks)) return 'checks must be a list';
  if (value.checks.length > MOST_TRACE_CHECKS) return `more than ${MOST_TRACE_CHECKS} checks at once`;
  if (typeof value.probe !== 'boolean') return 'probe must be true or false';
  return null;
}

/**
 * Why this agent cannot look at what one check is about, or null: only our own objects can be named, and none by a command. A
 * controller of another release may ask for what this one has no words for.
 */
export function problemOfCheck(check: unknown): string | null {
  const kind = isObject(check) ? check.kind : undefined;
  if (typeof kind !== 'string') return 'a check without a kind';
  const name = `'${kind.slice(0, 40)}'`;
  if (!Object.hasOwn(CHECKS, kind))
    return `this agent is older than the controller: it knows no check of kind ${name}`;
  if (!CHECKS[kind as TraceCheck['kind']](check))
    return `this agent is of another release than the controller: it does not understand its check of kind ${name}`;
  return null;
}

/** Has answered what this agent understands; of what it does not, nothing is known, and why. In order, as every answer. */
export async function answerUnderstood(
  request: TraceRequest,
  answer: (request: TraceRequest) => Promise<TraceReply>,
): Promise<TraceReply> {
  const problems = request.checks.map(problemOfCheck);
  const checks = request.checks.filter((_, index) => problems[index] === null);
  const { findings } = checks.length > 0 ? await answer({ ...request, checks }) : { findings: [] };
  const found = findings.values();
  return {
    findings: problems.map((problem) =>
      problem === null ? found.next().value! : { state: 'unknown', detail: problem },
    ),
  };
}
