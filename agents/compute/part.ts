import { parseKey } from '../../src/protocol/keys.js';
import type { Logger } from '../../src/protocol/log.js';
import type { ObjectError, ObjectReport, PlanStep } from '../../src/protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../../src/protocol/objects.js';
import type { DriftLook } from '../drift/look.js';
import type { Host } from '../host/host.js';
import type { Part } from '../part.js';
import { toObjectError } from '../storage/object-error.js';
import type { ServerStorage } from '../storage/part.js';
import { serverDirectory } from '../storage/paths.js';
import { readConsole } from './console.js';
import { domainDrift } from './drift.js';
import { watchEvents } from './events.js';
import {
  applyGuest,
  assess,
  destroyGuest,
  type GuestOptions,
  NotReadyError,
  SHUTDOWN_TIMEOUT_MS,
} from './guest.js';
import { createKeyedQueue, createLimiter } from './keyed-queue.js';
import { listDomains, observeDomain } from './observe.js';
import { domainOrphans, endAllDomains, removeDomain } from './orphans.js';
import { createVirsh } from './virsh.js';

/** Guests that are started at the same time: more only makes each slower. */
const STARTS_AT_ONCE = 4;
/** After a definition of our own, libvirt's event of it is taken for its echo for this long. */
const ECHO_MS = 500;

export interface ComputeOptions {
  readonly host: Host;
  readonly stateDir: string;
  readonly libvirtUri: string;
  readonly virtType: 'kvm' | 'qemu';
  /** Names this boot of the host: guests that ran in another are started again. */
  readonly bootId: string;
  readonly storage: ServerStorage;
  /** Null once a port's tap is plugged and its firewall complete; else why not. */
  readonly portReady: (portId: string) => ObjectError | null | Promise<ObjectError | null>;
  readonly shutdownTimeoutMs?: number;
  readonly log: Logger;
}

/** The compute part, and what else may be asked of it. */
export interface ComputePart extends Part {
  /** The end of a server's serial console: the last `lines`, or as much as Nova gives. */
  consoleOutput(serverId: string, lines: number | null): Promise<string>;
  /** Name of a domain that has this file as a disk; null when there is none. */
  diskUser(path: string): Promise<string | null>;
  runningGuests(): Promise<number>;
}

/** Servers as libvirt domains. */
export function createComputePart(options: ComputeOptions): ComputePart {
  const { host, stateDir, libvirtUri, log } = options;
  const virsh = createVirsh(host, libvirtUri, log);
  const guestOptions: GuestOptions = {
    ...options,
    virsh,
    shutdownTimeoutMs: options.shutdownTimeoutMs ?? SHUTDOWN_TIMEOUT_MS,
    startSlot: createLimiter(STARTS_AT_ONCE),
  };
  const queue = createKeyedQueue();
  const timers = new Map<ObjectKey, NodeJS.Timeout>();
  const keyOfDomain = new Map<string, ObjectKey>();
  /** Servers that are being applied, or were until just now. */
  const busy = new Set<ObjectKey>();
  const applying = new Set<ObjectKey>();
  const doubtful = new Set<ObjectKey>();
  let onChanged: (keys: readonly ObjectKey[]) => void = () => {};
  let events: { close(): void } | null = null;

  function lookAgain(key: ObjectKey, at: number | null): void {
    clearTimeout(timers.get(key));
    timers.delete(key);
    if (at === null) return;
    const timer = setTimeout(() => onChanged([key]), Math.max(0, at - host.now().getTime()) + 50);
    timer.unref();
    timers.set(key, timer);
  }

  async function applyServer(
    key: ObjectKey,
    object: SpecObject<'server'>,
    spec: Spec,
    look: DriftLook | undefined,
    stillWanted: (key: ObjectKey) => boolean = () => true,
  ): Promise<ObjectReport | null> {
    const { id, instance_name } = object.body;
    keyOfDomain.set(instance_name, key);
    busy.add(key);
    applying.add(key);
    try {
      if (object.tombstone) {
        await destroyGuest(id, guestOptions);
        lookAgain(key, null);
        keyOfDomain.delete(instance_name);
        return { key, revision: object.revision, state: 'gone' };
      }
      const outcome = await applyGuest(object, spec, guestOptions, look, () => stillWanted(key));
      lookAgain(key, outcome.lookAgainAt);
      // on its way: what was applied before still holds, and is no news
      if (outcome.revision === null) return null;
      return { key, revision: outcome.revision, state: 'applied', observed: outcome.observed };
    } catch (error) {
      const told = error instanceof NotReadyError ? error.reason : toObjectError(error, `server ${id}`);
      log.error('server not applied', { key, ...told });
      const domain = await observeDomain(virsh, id).catch(() => null);
      const observed = domain ? { observed: { power_state: domain.power, launched_at: null } } : {};
      return { key, revision: object.revision, state: 'error', error: told, ...observed };
    } finally {
      applying.delete(key);
      setTimeout(() => {
        busy.delete(key);
        // what came late may not have been the echo of our own definition
        if (doubtful.delete(key)) onChanged?.([key]);
      }, ECHO_MS).unref();
    }
  }

  return {
    name: 'compute',

    async apply({ spec, changed, look, stillWanted }) {
      const keys = changed ? [...changed] : (Object.keys(spec) as ObjectKey[]);
      const reports = await Promise.all(
        keys.map((key) => {
          const object = spec[key];
          if (!object || parseKey(key).kind !== 'server') return null;
          return queue(key, () => applyServer(key, object as SpecObject<'server'>, spec, look, stillWanted));
        }),
      );
      return reports.filter((report) => report !== null);
    },

    async plan(spec, keys) {
      const steps: PlanStep[] = [];
      for (const [key, object] of Object.entries(spec) as [ObjectKey, SpecObject][]) {
        if (parseKey(key).kind === 'server' && (keys?.has(key) ?? true))
          steps.push(...(await planServer(key, object as SpecObject<'server'>, spec)));
      }
      return steps;
    },

    async observeServer(spec, key) {
      const object = spec[key] as SpecObject<'server'> | undefined;
      const domain = object ? await observeDomain(virsh, object.body.id) : null;
      return domain && { power_state: domain.power, launched_at: null };
    },

    orphans: (spec) => domainOrphans(virsh, spec),

    removeOrphan: (orphan) => removeDomain(virsh, orphan),

    letGo: () => endAllDomains(virsh),

    watch(changed) {
      onChanged = changed;
      events = watchEvents({
        host,
        uri: libvirtUri,
        log,
        onEvent: (domain, event) => {
          const key = keyOfDomain.get(domain);
          if (!key) return;
          if (event.startsWith('io-error')) log.warn('guest disk error', { key, event });
          if (!event.startsWith('lifecycle: ')) return;
          // somebody has edited it, unless it was us
          if (!event.startsWith('lifecycle: Defined') || !busy.has(key)) changed([key]);
          else if (!applying.has(key)) doubtful.add(key);
        },
        onGap: () => changed([...keyOfDomain.values()]),
      });
    },

    async close() {
      for (const timer of timers.values()) clearTimeout(timer);
      events?.close();
      virsh.close();
    },

    consoleOutput: (serverId, lines) => readConsole(host, stateDir, serverId, lines),

    async diskUser(path) {
      for (const { uuid } of await listDomains(virsh)) {
        const domain = await observeDomain(virsh, uuid);
        if (domain?.diskFiles.includes(path)) return domain.name;
      }
      return null;
    },

    async runningGuests() {
      const text = await virsh.query('list', '--name');
      return text.split('\n').filter((line) => line.trim() !== '').length;
    },
  };

  async function planServer(key: ObjectKey, object: SpecObject<'server'>, spec: Spec): Promise<PlanStep[]> {
    const { id, instance_name } = object.body;
    if (object.tombstone) {
      const steps: PlanStep[] = [];
      const domain = await observeDomain(virsh, id);
      if (domain)
        steps.push({
          object: key,
          action: `virsh undefine ${domain.name}`,
          detail: `power: ${domain.power} → absent`,
        });
      const directory = serverDirectory(stateDir, id);
      if (await host.stat(directory)) steps.push({ object: key, action: 'remove files', detail: directory });
      return steps;
    }
    try {
      const { decision, domain, record, seen } = await assess(object, spec, guestOptions);
      const drift = seen ? domainDrift(object, domain, record) : [];
      const steps: PlanStep[] = [...drift];
      if (decision.define && !drift.some(({ action }) => action === 'virsh define')) {
        const detail = domain ? 'the definition differs' : 'no such domain';
        steps.push({ object: key, action: `virsh define ${instance_name}`, detail });
      }
      if (decision.power !== 'none')
        steps.push({ object: key, action: `power: ${decision.power}`, detail: decision.why });
      return steps;
    } catch (error) {
      return [
        { object: key, action: 'cannot be assessed', detail: toObjectError(error, `server ${id}`).message },
      ];
    }
  }
}
