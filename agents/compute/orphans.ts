import { objectKey } from '../../src/protocol/keys.js';
import type { Spec } from '../../src/protocol/objects.js';
import { OrphanRefused } from '../orphans.js';
import type { Orphan } from '../part.js';
import { isOff, listDomains, type ObservedDomain, observeDomain } from './observe.js';
import type { Virsh } from './virsh.js';

/** Domains that were made for servers which the spec does not name. Domains of others are nobody's business. */
export async function domainOrphans(virsh: Virsh, spec: Spec): Promise<readonly Orphan[]> {
  const found: Orphan[] = [];
  for (const domain of await ourDomains(virsh)) {
    if (spec[objectKey('server', domain.uuid)]) continue;
    found.push({
      kind: 'domain',
      name: domain.name,
      object: objectKey('server', domain.uuid),
      detail: `server ${domain.uuid}, ${domain.power}, disks ${domain.diskFiles.join(' ') || 'none'}`,
    });
  }
  return found;
}

/** Ends a domain and takes its definition away; its disks stay, and are an orphan of their own. */
export async function removeDomain(virsh: Virsh, { name }: Orphan): Promise<void> {
  const domain = await observeDomain(virsh, name);
  if (!domain) return;
  if (!isOurs(domain)) throw new OrphanRefused(`domain ${name} was not made by this agent`);
  await endDomain(virsh, domain);
  await virsh.change([
    'undefine',
    domain.uuid,
    '--nvram',
    '--managed-save',
    '--snapshots-metadata',
    '--checkpoints-metadata',
  ]);
}

/** Ends every guest of ours, as by pulling the plug: another host may run it by now. Definitions and disks stay. */
export async function endAllDomains(virsh: Virsh): Promise<readonly string[]> {
  const ended: string[] = [];
  const failures: unknown[] = [];
  for (const domain of await ourDomains(virsh)) {
    if (isOff(domain.power)) continue;
    try {
      await endDomain(virsh, domain);
      ended.push(domain.name);
    } catch (error) {
      // one that cannot be ended keeps no other one running
      failures.push(error);
    }
  }
  if (failures.length > 0) {
    const messages = failures.map((error) => (error as Error).message).join('; ');
    throw new Error(`${failures.length} guests could not be ended: ${messages}`, { cause: failures[0] });
  }
  return ended;
}

async function ourDomains(virsh: Virsh): Promise<ObservedDomain[]> {
  const found: ObservedDomain[] = [];
  for (const { uuid } of await listDomains(virsh)) {
    const domain = await observeDomain(virsh, uuid);
    if (domain && isOurs(domain)) found.push(domain);
  }
  return found;
}

function isOurs(domain: ObservedDomain): boolean {
  return (domain.current ?? domain.defined)?.serverId === domain.uuid;
}

async function endDomain(virsh: Virsh, domain: ObservedDomain): Promise<void> {
  if (isOff(domain.power)) return;
  try {
    await virsh.change(['destroy', domain.uuid]);
  } catch (error) {
    // it may have ended by itself just now
    const left = await observeDomain(virsh, domain.uuid);
    if (left && !isOff(left.power)) throw error;
  }
}
