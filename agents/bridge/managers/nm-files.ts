import { createHash } from 'node:crypto';
import { BridgeRefusal } from '../manager.js';
import { type Entry, lastValue, renderIni, type Section, section } from './ini.js';

export interface NmTakeover {
  readonly bridge: string;
  readonly uplink: string;
  readonly mac: string;
  readonly mtu: number;
  /** Of the keyfile that is active on the uplink. */
  readonly path: string;
  readonly sections: readonly Section[];
  /** What NetworkManager gave the uplink by itself and would give a bridge otherwise: metrics of routes, DHCP identities. */
  readonly implicit: {
    readonly metric4: number | null;
    readonly metric6: number | null;
    readonly clientId: string | null;
    readonly duid: string | null;
    readonly iaid: string | null;
  };
  /** False on trial: nothing of it may come up by itself. */
  readonly autoconnect: boolean;
}

export interface NmFiles {
  readonly bridgeUuid: string;
  readonly portUuid: string;
  readonly bridgeKeyfile: string;
  readonly portKeyfile: string;
  readonly warnings: readonly string[];
}

/**
 * Divides the uplink's keyfile in two: a bridge with its addresses, and a port with its cable. Refuses a section or key that has no
 * place in either.
 */
export function nmFiles(takeover: NmTakeover): NmFiles {
  const { bridge, uplink, mac, mtu, path, sections, implicit, autoconnect } = takeover;
  const type = lastValue(sections, 'connection', 'type') ?? '';
  if (!PORT_TYPES.has(TYPE_NAMES[type] ?? type))
    throw new BridgeRefusal(
      `${path} is a connection of type ${type || 'unknown'}`,
      'Only ethernet, bond and vlan connections can be ports of a bridge.',
    );
  const original = lastValue(sections, 'connection', 'uuid') ?? path;
  const [bridgeUuid, portUuid] = [uuidOf(original, bridge), uuidOf(original, `${bridge} ${uplink}`)];
  const warnings: string[] = [];
  const toBridge: Section[] = [];
  const toPort: Section[] = [];
  for (const { name, entries } of sections) {
    if (name === 'connection') {
      const kept = entries.filter((e) => !OWN_CONNECTION_KEYS.has(e.key));
      toBridge.push({ name, entries: kept.filter((e) => connectionPlace(e, path) === 'bridge') });
      toPort.push({ name, entries: kept.filter((e) => connectionPlace(e, path) === 'port') });
    } else if (name === 'ipv4' || name === 'ipv6') {
      if (name === 'ipv6' && /^(1|3|stable-privacy|default)$/.test(value(entries, 'addr-gen-mode')))
        warnings.push(
          `${path}: IPv6 addresses made from router advertisements depend on the device's name here; those of ${bridge} will be others`,
        );
      toBridge.push({ name, entries });
    } else if (/^(proxy|user|hostname)$/.test(name)) toBridge.push({ name, entries });
    else if (PORT_SECTIONS.test(name)) toPort.push({ name, entries });
    else if (name === 'match')
      warnings.push(`${path}: [match] is not kept: the new connections match by name`);
    else
      throw new BridgeRefusal(
        `${path} has a section [${name}], which a bridge or its port has no place for`,
        'Remove it (nmcli connection modify), bring the connection up again, and try again.',
      );
  }
  const on = autoconnect ? {} : { autoconnect: 'false' };
  const fill = (name: string, values: Readonly<Record<string, string | null>>) => {
    const said = toBridge.filter((s) => s.name === name).flatMap((s) => s.entries.map((e) => e.key));
    const missing = Object.entries(values).filter(([key, v]) => v !== null && !said.includes(key));
    return section(name, Object.fromEntries(missing.map(([key, v]) => [key, v!])));
  };
  const number = (n: number | null) => (n === null ? null : String(n));
  const bridgeSections = joined([
    section('connection', {
      id: `maru-${bridge}`,
      uuid: bridgeUuid,
      type: 'bridge',
      'interface-name': bridge,
      ...on,
    }),
    ...toBridge,
    section('bridge', { stp: 'false', 'multicast-snooping': 'false' }),
    section('ethernet', { 'cloned-mac-address': mac, mtu: String(mtu) }),
    fill('ipv4', {
      'route-metric': number(implicit.metric4),
      'dhcp-client-id': implicit.clientId,
    }),
    fill('ipv6', {
      'route-metric': number(implicit.metric6),
      'dhcp-duid': implicit.duid,
      'dhcp-iaid': implicit.iaid,
    }),
  ]);
  const portSections = joined([
    section('connection', {
      id: `maru-${bridge}-${uplink}`,
      uuid: portUuid,
      type,
      'interface-name': uplink,
      // by uuid: the name would be found in a connection that NetworkManager made up for the bridge it saw
      master: bridgeUuid,
      'slave-type': 'bridge',
      ...on,
    }),
    ...toPort,
  ]);
  return {
    bridgeUuid,
    portUuid,
    bridgeKeyfile: comment(bridge, path) + renderIni(bridgeSections),
    portKeyfile: comment(bridge, path) + renderIni(portSections),
    warnings,
  };
}

/** The original keyfile, which must not come up by itself any more: it would take the uplink out of the bridge. */
export function nmDisabled(text: string): string {
  const lines = text.split('\n').filter((line) => !/^autoconnect\s*=/.test(line.trim()));
  const at = lines.findIndex((line) => line.trim() === '[connection]');
  return [...lines.slice(0, at + 1), 'autoconnect=false', ...lines.slice(at + 1)].join('\n');
}

/** The uplink's keyfile made from the bridge's and the port's, for a release whose original is gone. */
export function nmReleased(uplink: string, bridge: readonly Section[], port: readonly Section[]): string {
  const type = lastValue(port, 'connection', 'type') ?? 'ethernet';
  const uuid = uuidOf(lastValue(bridge, 'connection', 'uuid') ?? uplink, uplink);
  const kept = (sections: readonly Section[], drop: readonly string[]) =>
    sections
      .filter(({ name }) => !drop.includes(name))
      .map(({ name, entries }) => ({
        name,
        entries:
          name === 'connection'
            ? entries.filter((e) => !OWN_CONNECTION_KEYS.has(e.key) && e.key !== 'uuid')
            : entries,
      }));
  return renderIni(
    joined([
      section('connection', { id: uplink, uuid, type, 'interface-name': uplink }),
      ...kept(port, []),
      ...kept(bridge, ['bridge', 'ethernet']),
    ]),
  );
}

/** A name for a connection that is the same every time (RFC 4122, version 5 in its layout). */
function uuidOf(original: string, name: string): string {
  const hex = createHash('sha1').update(`maru bridge ${original} ${name}`).digest('hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const TYPE_NAMES: Readonly<Record<string, string>> = { '802-3-ethernet': 'ethernet' };
const PORT_TYPES = new Set(['ethernet', 'bond', 'vlan']);
const PORT_SECTIONS =
  /^(ethernet|802-3-ethernet|802-1x|ethtool|sriov|dcb|tc|bond|vlan|link|ethernet-s390-options|wired-s390-options)$/;

/** Said anew in both files; the time of the last use is nobody's business. */
const OWN_CONNECTION_KEYS = new Set([
  'id',
  'uuid',
  'type',
  'interface-name',
  'timestamp',
  'autoconnect',
  'master',
  'slave-type',
  'controller',
  'port-type',
]);

function connectionPlace({ key, value }: Entry, path: string): 'bridge' | 'port' | 'none' {
  if (
    /^(lldp|autoconnect-priority|autoconnect-retries|multi-connect|auth-retries|mud-url|wait-device-timeout|read-only|stable-id-port)$/.test(
      key,
    )
  )
    return key === 'read-only' ? 'none' : 'port';
  if (
    /^(permissions|zone|metered|mdns|llmnr|dns-over-tls|stable-id|gateway-ping-timeout|secondaries|wait-activation-delay|autoconnect-slaves|autoconnect-ports|down-on-poweroff|ip-ping-addresses|ip-ping-timeout)$/.test(
      key,
    )
  )
    return 'bridge';
  throw new BridgeRefusal(
    `${path} says connection.${key}=${value}, and what that means with a bridge is not known`,
    'Remove it (nmcli connection modify), bring the connection up again, and try again.',
  );
}

function joined(sections: readonly Section[]): readonly Section[] {
  const names = [...new Set(sections.map((s) => s.name))];
  return names.map((name) => ({
    name,
    entries: sections.filter((s) => s.name === name).flatMap((s) => s.entries),
  }));
}

function value(entries: readonly Entry[], key: string): string {
  return entries.filter((e) => e.key === key).at(-1)?.value ?? '';
}

function comment(bridge: string, path: string): string {
  return `# ${bridge}, made by maru bridge from ${path}; 'maru bridge release' undoes it.\n`;
}
