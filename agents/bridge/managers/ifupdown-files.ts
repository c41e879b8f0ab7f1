import { BridgeRefusal } from '../manager.js';
import { optionOf, parseInterfaces, type Statement } from './interfaces.js';

export interface IfupdownTakeover {
  readonly bridge: string;
  readonly uplink: string;
  readonly mac: string;
  /** For a DHCP client that makes its routes' metric from the device's index: what it is now; null when it does not. */
  readonly metric?: number | null;
  readonly path: string;
  readonly text: string;
  /** The bridge's own options are said in one stanza only: false when an earlier file has had them. */
  readonly first: boolean;
}

export interface IfupdownFile {
  readonly text: string;
  /** The file had an `iface` of the uplink. */
  readonly touched: boolean;
  readonly warnings: readonly string[];
}

/**
 * One file of interfaces(5) with the uplink's stanzas given to the bridge and the uplink as its port. Lines about anything else stay
 * as they are. Refuses what it cannot divide between the two.
 */
export function ifupdownFile(takeover: IfupdownTakeover): IfupdownFile {
  const { bridge, uplink, mac, path } = takeover;
  const warnings: string[] = [];
  const lines: string[] = [];
  const portOptions: string[] = [];
  let first = takeover.first;
  let stanza: 'uplink' | 'other' = 'other';
  let method = '';
  for (const statement of parseInterfaces(takeover.text)) {
    if (statement.kind === 'auto') lines.push(autoLine(statement, takeover));
    else if (statement.kind === 'iface') {
      const { name, alias, family, inherits } = header(statement);
      stanza = name === uplink ? 'uplink' : 'other';
      method = statement.words[3] ?? '';
      if (stanza === 'other') lines.push(statement.raw);
      else {
        if (inherits) throw refusal(`${path}: "${statement.raw.trim()}" inherits from another stanza`);
        if (!/^(inet|inet6)$/.test(family)) throw refusal(`${path}: "${statement.raw.trim()}"`);
        if (!METHODS.test(method))
          throw refusal(`${path}: "${statement.raw.trim()}" has the method ${method}`);
        lines.push(`iface ${bridge}${alias} ${family} ${method}`);
        if (first && alias === '') lines.push(...bridgeOptions(uplink, mac));
        if (alias === '') first = false;
        if (family === 'inet' && method === 'dhcp') lines.push(...sameMetric(takeover, statement));
        if (family === 'inet6' && method === 'static') lines.push(...noDad(takeover.text, statement));
      }
    } else if (statement.kind === 'option' && stanza === 'uplink') {
      const { bridgeLine, portLine, warning } = placeOption(statement, takeover);
      if (bridgeLine !== null) lines.push(bridgeLine);
      if (portLine !== null && !portOptions.includes(portLine)) portOptions.push(portLine);
      if (warning) warnings.push(`${path}: ${warning}`);
    } else {
      if (statement.words[0] === 'mapping' && statement.words.slice(1).some((w) => matches(w, uplink)))
        throw refusal(`${path}: "${statement.raw.trim()}" chooses the stanza of ${uplink}`);
      if (statement.kind !== 'blank') stanza = 'other';
      lines.push(statement.raw);
    }
  }
  const touched = first !== takeover.first;
  if (touched || portOptions.length > 0)
    lines.push('', `iface ${uplink} inet manual`, ...withoutOwn(), ...portOptions);
  return { text: `${lines.join('\n')}\n`, touched, warnings };
}

/** What a takeover has written for a file, now and by earlier versions, which said less of the port. */
export function asWritten(text: string): readonly string[] {
  const [, routerAdvertisements] = withoutOwn();
  return [text, text.replace(`${routerAdvertisements}\n`, '')];
}

/** The metrics that a file says for addresses of a device by DHCP (`iface br-ex inet dhcp`). */
export function metricsOf(device: string, text: string): readonly number[] {
  let within = false;
  return parseInterfaces(text).flatMap(({ kind, words }) => {
    if (kind === 'iface') within = isDhcpOf(device, words);
    return within && kind === 'option' && words[0] === 'metric' ? [Number(words[1])] : [];
  });
}

function isDhcpOf(device: string, [, name, family, method]: readonly string[]): boolean {
  return name === device && family === 'inet' && method === 'dhcp';
}

/**
 * The way back for a file that was changed since the takeover: the bridge's stanzas are the uplink's again. `originals`: what the files
 * said before; a metric that none of them says, such as dhcpcd makes (1000 and more), is the takeover's and goes.
 */
export function ifupdownReleased(bridge: string, uplink: string, text: string, originals = ''): string {
  const hadDhcp = parseInterfaces(originals).some((s) => s.kind === 'iface' && isDhcpOf(uplink, s.words));
  const ownMetric = hadDhcp && metricsOf(uplink, originals).length === 0;
  let dhcp = false;
  const lines: string[] = [];
  const portOptions: string[] = [];
  const statements = parseInterfaces(text);
  let stanza = '';
  for (const { kind, words, raw } of statements) {
    const name = words[1]?.split(':')[0];
    if (kind === 'iface') stanza = name ?? '';
    else if (kind !== 'option' && kind !== 'blank') stanza = '';
    // the MTU is said of both, and the rest is a port's own
    if (stanza === uplink && kind === 'option' && words[0] !== 'mtu' && !withoutOwn().includes(raw))
      portOptions.push(raw);
  }
  stanza = '';
  for (const statement of statements) {
    const { kind, words, raw } = statement;
    if (kind === 'auto') {
      const rest = words.filter((word) => word.split(':')[0] !== bridge || word.includes(':'));
      if (rest.length > 1) lines.push(rest.map((word) => renameAlias(word, bridge, uplink)).join(' '));
      continue;
    }
    if (kind === 'iface') {
      stanza = words[1]?.split(':')[0] ?? '';
      dhcp = isDhcpOf(bridge, words);
      if (stanza === uplink) continue;
      if (stanza !== bridge) lines.push(raw);
      else {
        lines.push(['iface', renameAlias(words[1]!, bridge, uplink), ...words.slice(2)].join(' '));
        lines.push(...portOptions.splice(0));
      }
      continue;
    }
    if (kind !== 'option') {
      if (kind !== 'blank') stanza = '';
      lines.push(raw);
    } else if (
      stanza !== uplink &&
      !(stanza === bridge && /^(bridge_|bridge-)/.test(words[0]!)) &&
      raw !== snooping() &&
      !(ownMetric && dhcp && /^ {4}metric [1-9]\d{3,}$/.test(raw))
    ) {
      lines.push(stanza === bridge ? renameWord(raw, bridge, uplink) : raw);
    }
  }
  return `${lines.join('\n').replace(/\n+$/, '')}\n`;
}

const METHODS = /^(static|dhcp|auto|manual)$/;

function header({ words }: Statement) {
  const [, full = '', family = ''] = words;
  const [name = '', ...alias] = full.split(':');
  const inherits = words.includes('inherits') || family === 'inherits';
  return { name, alias: alias.length > 0 ? `:${alias.join(':')}` : '', family, inherits };
}

function bridgeOptions(uplink: string, mac: string): string[] {
  return [
    `    bridge_ports ${uplink}`,
    `    bridge_hw ${mac}`,
    '    bridge_stp off',
    '    bridge_fd 0',
    '    bridge_maxwait 0',
    snooping(),
  ];
}

function snooping(): string {
  return '    up ip link set dev $IFACE type bridge mcast_snooping 0';
}

/**
 * A port of a bridge is nobody's neighbour: its link-local address would be the bridge's too, with the same MAC; and so would be what it
 * makes from a router advertisement that comes before it is a port.
 */
function withoutOwn(): readonly string[] {
  return [
    '    pre-up ip link set dev $IFACE addrgenmode none',
    '    pre-up sysctl -q -e -w net/ipv6/conf/$IFACE/accept_ra=0',
  ];
}

/** Duplicate address detection would hold the address back while the bridge comes up; unless the stanza says itself what it wants. */
function noDad(text: string, stanza: Statement): string[] {
  return says(text, stanza, 'dad-attempts') ? [] : ['    dad-attempts 0'];
}

function sameMetric({ text, metric }: IfupdownTakeover, stanza: Statement): string[] {
  return typeof metric !== 'number' || says(text, stanza, 'metric') ? [] : [`    metric ${metric}`];
}

function says(text: string, stanza: Statement, option: string): boolean {
  const after = text
    .slice(text.indexOf(stanza.raw) + stanza.raw.length)
    .split(/^\s*(?:iface|auto|allow-\S+|mapping|source)\b/m)[0]!;
  return new RegExp(`^\\s*${option}\\s`, 'm').test(after);
}

/** `auto eth0`: both, the port first; allow-hotplug does not fit a bridge, which no event of the hardware announces. */
function autoLine({ raw, words }: Statement, { bridge, uplink, path }: IfupdownTakeover): string {
  const pattern = words.slice(1).find((word) => /[*?[/]/.test(word) && matches(word, uplink));
  if (pattern) throw refusal(`${path}: "${raw.trim()}" names ${uplink} by a pattern`);
  const own = words.slice(1).filter((word) => word.split(':')[0] === uplink);
  if (own.length === 0) return raw;
  const others = words.slice(1).filter((word) => word.split(':')[0] !== uplink);
  const both = own.flatMap((word) =>
    word === uplink ? [uplink, bridge] : [renameAlias(word, uplink, bridge)],
  );
  if (words[0] === 'auto') return ['auto', ...both, ...others].join(' ');
  return [
    ...(others.length > 0 ? [`${words[0]} ${others.join(' ')}`] : []),
    ['auto', ...both].join(' '),
  ].join('\n');
}

interface Placed {
  readonly bridgeLine: string | null;
  readonly portLine: string | null;
  readonly warning?: string;
}

const PORT_OPTIONS =
  /^(hwaddress|ethernet-|link-|offload-|driver-|hardware-|bond-|bond_|slaves|vlan-|vlan_|txqueuelen|pre-up-ethtool)/;
const REFUSED_OPTIONS = /^(bridge_|bridge-|wpa-|wireless-|ppp|provider|ovs_|openvswitch|inherits|vrf)/;
const BRIDGE_OPTIONS =
  /^(address|netmask|broadcast|network|metric|gateway|pointopoint|scope|dns-|resolvconf-|hostname|leasehours|leasetime|vendor|client|request_prefix|ll-attempts|ll-interval|accept_ra|autoconf|privext|dad-attempts|dad-interval|preferred-lifetime|dhcp|media|description|unmanaged)/;
const HOOKS = /^(pre-up|up|post-up|pre-down|down|post-down)$/;

function placeOption(statement: Statement, { bridge, uplink, path }: IfupdownTakeover): Placed {
  const { raw } = statement;
  const { key, value } = optionOf(raw);
  if (HOOKS.test(key)) return placeHook(raw, value, bridge, uplink, path);
  if (REFUSED_OPTIONS.test(key)) throw refusal(`${path}: "${raw.trim()}"`);
  if (key === 'mtu') return { bridgeLine: raw, portLine: raw };
  if (PORT_OPTIONS.test(key)) return { bridgeLine: null, portLine: raw };
  if (BRIDGE_OPTIONS.test(key)) return { bridgeLine: raw, portLine: null };
  return {
    bridgeLine: raw,
    portLine: null,
    warning: `"${raw.trim()}" is now said of ${bridge}; see whether it fits a bridge`,
  };
}

function placeHook(raw: string, command: string, bridge: string, uplink: string, path: string): Placed {
  if (/^(\S*\/)?(ethtool|tc|mii-tool)\s/.test(command) || /^(\S*\/)?ip\s+(-\S+\s+)*link\s/.test(command))
    return { bridgeLine: null, portLine: raw };
  if (!new RegExp(`(^|[^\\w-])${escaped(uplink)}([^\\w-]|$)`).test(command))
    return { bridgeLine: raw, portLine: null };
  const known = /^(\S*\/)?(ip|route|sysctl|iptables|ip6tables|nft)\s|\/proc\/sys\/net\//.test(command);
  if (!known) {
    throw refusal(
      `${path}: "${raw.trim()}" names ${uplink}, and whether it means the cable or its addresses cannot be known`,
    );
  }
  const renamed = renameWord(raw, uplink, bridge);
  return { bridgeLine: renamed, portLine: null, warning: `"${raw.trim()}" becomes "${renamed.trim()}"` };
}

function renameAlias(word: string, from: string, to: string): string {
  return word === from || word.startsWith(`${from}:`) ? to + word.slice(from.length) : word;
}

function renameWord(text: string, from: string, to: string): string {
  return text.replaceAll(new RegExp(`(^|[^\\w-])${escaped(from)}(?=[^\\w-]|$)`, 'g'), `$1${to}`);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** A shell pattern or /pattern/ of ifupdown that would name the device. */
export function matches(pattern: string, device: string): boolean {
  const glob = pattern.replace(/^\//, '').split('/')[0]!.replace(/=.*$/, '');
  const expression = escaped(glob)
    .replaceAll('\\*', '.*')
    .replaceAll('\\?', '.')
    .replaceAll(/\\\[(.*?)\\\]/g, '[$1]');
  return new RegExp(`^${expression}$`).test(device);
}

function refusal(what: string): BridgeRefusal {
  return new BridgeRefusal(
    `${what}, which cannot be divided between a bridge and its port`,
    'Write that configuration without it, apply it, and try again.',
  );
}
