import { isMap, isScalar, type YAMLMap } from 'yaml';
import { secretYamlDocument } from '../../../src/protocol/secret-text.js';
import { BridgeRefusal } from '../manager.js';

export interface NetplanTakeover {
  readonly bridge: string;
  readonly uplink: string;
  readonly mac: string;
  readonly mtu: number;
  readonly path: string;
  readonly text: string;
  /** Whether this file is to define the bridge itself (the first that has the uplink); others only add to it. */
  readonly first: boolean;
}

/** Where the uplink is defined in a file: `network.<type>.<id>`. */
export interface NetplanDefinition {
  readonly type: string;
  readonly id: string;
}

/** The kinds of definitions that can be an uplink. */
const UPLINK_TYPES = ['ethernets', 'bonds', 'vlans'];

/** The definition in this file that is about the device; null when there is none. */
export function definitionOf(
  text: string,
  path: string,
  uplink: string,
  mac: string,
  types: readonly string[] = UPLINK_TYPES,
): NetplanDefinition | null {
  const document = parsed(text, path);
  for (const type of types) {
    const definitions = document.getIn(['network', type]);
    if (!isMap(definitions)) continue;
    for (const { key } of definitions.items) {
      const id = String(isScalar(key) ? key.value : key);
      const match = document.getIn(['network', type, id, 'match']);
      const setName = document.getIn(['network', type, id, 'set-name']);
      if (isMap(match) ? matched(match, uplink, mac) || setName === uplink : id === uplink)
        return { type, id };
    }
  }
  return null;
}

/**
 * A netplan file with the uplink's addresses, routes and names moved to the bridge; comments and everything else stay. Null when the
 * file does not name the uplink; refuses what has no place.
 */
export function netplanFile(takeover: NetplanTakeover): string | null {
  const { bridge, uplink, mac, mtu, path, text } = takeover;
  const found = definitionOf(text, path, uplink, mac);
  if (!found) return null;
  const { type, id } = found;
  const document = parsed(text, path);
  const definition = document.getIn(['network', type, id]);
  if (document.getIn(['network', 'bridges', bridge]) !== undefined)
    throw new BridgeRefusal(
      `${path} has a bridge ${bridge} already`,
      `Remove it from ${path}, netplan apply, and try again.`,
    );
  const toBridge = document.createNode({}) as YAMLMap;
  if (isMap(definition)) {
    for (const item of [...definition.items]) {
      const key = String(isScalar(item.key) ? item.key.value : item.key);
      const place = placeOf(key, `${path}: ${type}.${id}.${key}`);
      if (place === 'port') continue;
      toBridge.items.push(
        place === 'both' ? toBridge.items.constructor && document.createPair(key, definition.get(key)) : item,
      );
      if (place === 'bridge') definition.delete(key);
    }
  }
  relabel(toBridge, uplink, bridge);
  const port = isMap(definition) ? definition : (document.createNode({}) as YAMLMap);
  if (!isMap(definition)) document.setIn(['network', type, id], port);
  port.flow = false;
  toBridge.flow = false;
  if (takeover.first) {
    for (const key of ['dhcp4', 'dhcp6', 'accept-ra']) port.set(key, false);
    port.set('link-local', document.createNode([]));
    toBridge.set('interfaces', document.createNode([id], { flow: true }));
    toBridge.set('macaddress', mac);
    toBridge.set('mtu', mtu);
    toBridge.set('parameters', document.createNode({ stp: false, 'forward-delay': 0 }));
  }
  if (toBridge.items.length > 0) document.setIn(['network', 'bridges', bridge], toBridge);
  return document.toString({ lineWidth: 0 });
}

/** The way back for a file that was changed since the takeover. */
export function netplanReleased(
  bridge: string,
  uplink: string,
  mac: string,
  path: string,
  text: string,
): string | null {
  const document = parsed(text, path);
  const definition = document.getIn(['network', 'bridges', bridge]);
  if (!isMap(definition)) return null;
  const found = definitionOf(text, path, uplink, mac);
  const place = ['network', found?.type ?? 'ethernets', found?.id ?? uplink];
  if (!isMap(document.getIn(place))) document.setIn(place, document.createNode({}));
  const port = document.getIn(place) as YAMLMap;
  for (const key of ['dhcp4', 'dhcp6', 'accept-ra', 'link-local']) port.delete(key);
  relabel(definition, bridge, uplink);
  for (const item of definition.items) {
    const key = String(isScalar(item.key) ? item.key.value : item.key);
    if (!OWN_KEYS.has(key) && !port.has(key)) port.items.push(item);
  }
  document.deleteIn(['network', 'bridges', bridge]);
  const bridges = document.getIn(['network', 'bridges']);
  if (isMap(bridges) && bridges.items.length === 0) document.deleteIn(['network', 'bridges']);
  return document.toString({ lineWidth: 0 });
}

/** `renderer` of the definition, its type or the whole file; null when nothing is said. */
export function rendererOf(text: string, path: string, { type, id }: NetplanDefinition): string | null {
  const document = parsed(text, path);
  const at = (...keys: string[]) => document.getIn(['network', ...keys, 'renderer']);
  const said = at(type, id) ?? at(type) ?? at();
  return typeof said === 'string' ? said : null;
}

const OWN_KEYS = new Set(['interfaces', 'macaddress', 'mtu', 'parameters']);

const PORT_KEYS =
  /^(match|set-name|macaddress|wakeonlan|emit-lldp|receive-checksum-offload|transmit-checksum-offload|.*-offload|infiniband-mode|embedded-switch-mode|virtual-function-count|delay-virtual-functions-rebind|link|id|interfaces|parameters|auth|ignore-carrier)$/;
const BOTH_KEYS = /^(renderer)$/;
const BRIDGE_KEYS =
  /^(addresses|dhcp4|dhcp6|dhcp4-overrides|dhcp6-overrides|dhcp-identifier|gateway4|gateway6|nameservers|routes|routing-policy|accept-ra|ra-overrides|ipv6-privacy|ipv6-address-generation|ipv6-address-token|ipv6-mtu|link-local|critical|optional|optional-addresses)$/;

function placeOf(key: string, where: string): 'port' | 'bridge' | 'both' {
  // the bridge's own is the device's, said from the snapshot; the port keeps what it was given
  if (key === 'mtu' || PORT_KEYS.test(key)) return 'port';
  if (BOTH_KEYS.test(key)) return 'both';
  if (BRIDGE_KEYS.test(key)) return 'bridge';
  throw new BridgeRefusal(
    `${where}: what that means with a bridge is not known`,
    'Take it out of that file, netplan apply, and try again.',
  );
}

/** Labels of addresses begin with the name of their device. */
function relabel(definition: YAMLMap, from: string, to: string): void {
  const addresses = definition.get('addresses');
  if (!addresses || typeof addresses !== 'object' || !('items' in addresses)) return;
  for (const address of (addresses as YAMLMap).items as unknown[]) {
    if (!isMap(address)) continue;
    for (const { value } of address.items) {
      if (!isMap(value)) continue;
      const label = value.get('label');
      if (typeof label === 'string' && (label === from || label.startsWith(`${from}:`)))
        value.set('label', to + label.slice(from.length));
    }
  }
}

function matched(match: YAMLMap, uplink: string, mac: string): boolean {
  const name = match.get('name');
  const address = match.get('macaddress');
  if (typeof name === 'string' && !globMatches(name, uplink)) return false;
  if (typeof address === 'string' && address.toLowerCase() !== mac.toLowerCase()) return false;
  return typeof name === 'string' || typeof address === 'string';
}

function globMatches(glob: string, name: string): boolean {
  const expression = glob
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${expression}$`).test(name);
}

function parsed(text: string, path: string) {
  try {
    // with the passwords of wireless networks
    return secretYamlDocument(text);
  } catch (error) {
    throw new BridgeRefusal(`${path} is not YAML: ${(error as Error).message}`, 'Mend it and try again.');
  }
}
