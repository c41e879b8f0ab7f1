import { createHash } from 'node:crypto';
import { METADATA_NAMESPACE } from './domain-xml.js';
import { isLookupFailure, type Virsh } from './virsh.js';
import { child, children, parseXml, textAt, type XmlNode, type XmlValue } from './xml.js';

export type PowerState = 'running' | 'paused' | 'shutdown' | 'crashed' | 'suspended' | 'nostate';

/** What our metadata element of a domain says. */
export interface Ownership {
  readonly serverId: string;
  readonly runEpoch: number;
  readonly softReboot: number;
  readonly hardReboot: number;
  readonly digest: string;
}

/** A domain as libvirt has it. */
export interface ObservedDomain {
  readonly name: string;
  readonly uuid: string;
  readonly power: PowerState;
  /** Why it is in that state, in libvirt's words. */
  readonly reason: string;
  /** Of the guest that runs, or else of the definition; null: the domain is not ours. */
  readonly current: Ownership | null;
  /** Of the definition that the next start takes; null: there is none, or it is not ours. */
  readonly defined: Ownership | null;
  readonly diskFiles: readonly string[];
  /** False: somebody undefined it while it runs; it vanishes when it stops. */
  readonly persistent: boolean;
  /** libvirt would start it by itself when it comes up. */
  readonly autostart: boolean;
  /** Digest of the definition that the next start takes, as libvirt writes it: whoever edits it changes this. */
  readonly definition: string;
}

/** The domain with this uuid or name; null when libvirt's list of all domains is without it. Whatever else fails is thrown. */
export async function observeDomain(virsh: Virsh, uuidOrName: string): Promise<ObservedDomain | null> {
  try {
    const state = await virsh.query('domstate', uuidOrName, '--reason');
    const { power, reason } = parseState(state);
    const info = await virsh.query('dominfo', uuidOrName);
    const inactive = await virsh.query('dumpxml', uuidOrName, '--inactive');
    const defined = parseDomain(inactive);
    // a guest that is off has one definition; that of a running guest may have changed since it started
    const current = isOff(power) ? defined : parseDomain(await virsh.query('dumpxml', uuidOrName));
    const persistent = !/^Persistent:\s+no$/m.test(info);
    return {
      ...current,
      power,
      reason,
      current: current.ownership,
      defined: persistent ? defined.ownership : null,
      persistent,
      autostart: /^Autostart:\s+enable$/m.test(info),
      definition: createHash('sha256').update(inactive.trim()).digest('base64url').slice(0, 22),
    };
  } catch (error) {
    if (!isLookupFailure(error)) throw error;
    // who takes a domain for absent removes the files under it: only a list that was given in full says so
    const all = await listDomains(virsh);
    if (all.some(({ uuid, name }) => uuid === uuidOrName || name === uuidOrName)) throw error;
    return null;
  }
}

/** Names and uuids of all domains of the host. */
export async function listDomains(
  virsh: Virsh,
): Promise<readonly { readonly uuid: string; readonly name: string }[]> {
  const text = await virsh.query('list', '--all', '--uuid', '--name');
  return text
    .split('\n')
    .map((line) => /^([0-9a-f-]{36})\s+(\S.*)$/.exec(line.trim()))
    .filter((match) => match !== null)
    .map(([, uuid = '', name = '']) => ({ uuid, name }));
}

/** True when no QEMU of the domain exists. */
export function isOff(power: PowerState): boolean {
  return power === 'shutdown' || power === 'crashed';
}

/** Reads `domstate --reason`: `shut off (crashed)`. */
export function parseState(text: string): { readonly power: PowerState; readonly reason: string } {
  const match = /^\s*([^(\n]+?)\s*(?:\(([^)]*)\))?\s*$/m.exec(text);
  const [, state = '', reason = ''] = match ?? [];
  if (state === 'shut off')
    return { power: reason === 'crashed' || reason === 'failed' ? 'crashed' : 'shutdown', reason };
  return { power: STATES[state] ?? 'nostate', reason };
}

const STATES: Readonly<Record<string, PowerState>> = {
  running: 'running',
  idle: 'running',
  paused: 'paused',
  // between an ACPI request and the end of QEMU
  'in shutdown': 'running',
  crashed: 'crashed',
  pmsuspended: 'suspended',
};

/** Reads what we need of `virsh dumpxml`. */
export function parseDomain(xml: string): {
  readonly name: string;
  readonly uuid: string;
  readonly ownership: Ownership | null;
  readonly diskFiles: readonly string[];
} {
  const document = parseXml(xml);
  const domain = child(document, 'domain');
  return {
    name: textAt(domain, 'name') ?? '',
    uuid: textAt(domain, 'uuid') ?? '',
    ownership: ownership(child(domain, 'metadata')),
    diskFiles: children(domain, 'devices', 'disk')
      .map((disk) => textAt(disk, 'source', '@file'))
      .filter((file) => file !== null),
  };
}

function ownership(metadata: XmlValue): Ownership | null {
  if (typeof metadata !== 'object' || Array.isArray(metadata)) return null;
  for (const [name, value] of Object.entries(metadata as XmlNode)) {
    const prefix = name.split(':')[0];
    if (!name.endsWith(':server') || textAt(value, `@xmlns:${prefix}`) !== METADATA_NAMESPACE) continue;
    return {
      serverId: textAt(value, '@id') ?? '',
      runEpoch: Number(textAt(value, '@run_epoch')),
      softReboot: Number(textAt(value, '@soft_reboot')),
      hardReboot: Number(textAt(value, '@hard_reboot')),
      digest: textAt(value, '@digest') ?? '',
    };
  }
  return null;
}
