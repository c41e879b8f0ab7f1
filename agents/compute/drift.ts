import type { PlanStep } from '../../src/protocol/messages.js';
import type { SpecObject } from '../../src/protocol/objects.js';
import type { ObservedDomain } from './observe.js';
import type { ServerRecord } from './record.js';

/**
 * How the domain of a server that had been brought about differs from what was made of it. Its power is no part of that: a guest may
 * shut itself down, and stays off. Pure.
 */
export function domainDrift(
  object: SpecObject<'server'>,
  domain: ObservedDomain | null,
  record: ServerRecord,
): PlanStep[] {
  if (record.revision !== object.revision) return [];
  const { id, instance_name: name } = object.body;
  const step = (action: string, detail: string): PlanStep => ({ object: `server/${id}`, action, detail });
  if (!domain) return [step('virsh define', `domain ${name} is not defined any more`)];
  const steps: PlanStep[] = [];
  if (!domain.persistent) {
    const what = `domain ${name} was undefined while it runs: it would vanish with its guest's end`;
    steps.push(step('virsh define', what));
  } else if (record.definition !== undefined && record.definition !== domain.definition) {
    const how = `compare virsh dumpxml --inactive ${name} with domain.xml in the server's directory`;
    steps.push(step('virsh define', `the definition of domain ${name} was changed by hand (${how})`));
  }
  if (domain.autostart) {
    const what = `autostart of domain ${name} is on: libvirt would start it whoever owns the server`;
    steps.push(step('virsh autostart --disable', what));
  }
  return steps;
}
