import type { Logger } from '../../src/protocol/log.js';
import type { ObjectError, ObservedServer } from '../../src/protocol/messages.js';
import type { ServerObject, Spec, SpecObject } from '../../src/protocol/objects.js';
import type { DriftLook } from '../drift/look.js';
import type { Host } from '../host/host.js';
import { HintedError } from '../storage/object-error.js';
import type { ServerStorage } from '../storage/part.js';
import { serverDirectory } from '../storage/paths.js';
import { ASK_AGAIN_MS, type Decision, decide, type Situation } from './decide.js';
import { type RenderedDomain, renderDomain } from './domain-xml.js';
import { domainDrift } from './drift.js';
import { isOff, type ObservedDomain, observeDomain } from './observe.js';
import { newRecord, readRecord, type ServerRecord, writeRecord } from './record.js';
import type { Virsh } from './virsh.js';

/** Time that a guest gets to shut down after it was asked to. */
export const SHUTDOWN_TIMEOUT_MS = 60_000;

export interface GuestOptions {
  readonly host: Host;
  readonly virsh: Virsh;
  readonly stateDir: string;
  readonly virtType: 'kvm' | 'qemu';
  readonly bootId: string;
  readonly shutdownTimeoutMs: number;
  readonly storage: ServerStorage;
  /** Null once the port's tap is plugged and its firewall complete; else why not. */
  readonly portReady: (portId: string) => ObjectError | null | Promise<ObjectError | null>;
  /** Runs a start when not too many others run. */
  readonly startSlot: <T>(start: () => Promise<T>) => Promise<T>;
  readonly log: Logger;
}

/** What became of a guest. */
export interface GuestOutcome {
  /** Null: not yet what it should be, without an error. */
  readonly revision: string | null;
  readonly observed: ObservedServer;
  /** When to look again (ms), because a time-out ends then. */
  readonly lookAgainAt: number | null;
}

/** Raised when a disk or port is missing that the guest needs. */
export class NotReadyError extends Error {
  readonly reason: ObjectError;

  constructor(reason: ObjectError) {
    super(reason.message);
    this.name = 'NotReadyError';
    this.reason = reason;
  }
}

/** Observes a server and says what there is to do; changes nothing. */
export async function assess(
  object: SpecObject<'server'>,
  spec: Spec,
  options: GuestOptions,
): Promise<
  Situation & { readonly decision: Decision; readonly rendered: RenderedDomain; readonly seen: boolean }
> {
  const { host, stateDir, bootId, virsh } = options;
  const server = object.body;
  const stored = await readRecord(host, stateDir, server.id);
  const record = stored ?? newRecord(bootId);
  const domain = await observeDomain(virsh, server.id);
  if (domain) refuseForeign(domain, server.id);
  const rendered = renderDomain(server, {
    virtType: options.virtType,
    stateDir,
    revision: object.revision,
    volumeFormat: (id) =>
      (spec[`volume/${id}`]?.body as { format?: 'qcow2' | 'raw' } | undefined)?.format ?? 'qcow2',
  });
  const situation = { server, record, domain, digest: rendered.digest, bootId, now: host.now().getTime() };
  return { ...situation, decision: decide(situation), rendered, seen: stored !== null };
}

/** Takes a server one step nearer to what is wanted; throws what prevents it. */
export async function applyGuest(
  object: SpecObject<'server'>,
  spec: Spec,
  options: GuestOptions,
  look?: DriftLook,
  stillWanted: () => boolean = () => true,
): Promise<GuestOutcome> {
  const { virsh, log } = options;
  const found = await assess(object, spec, options);
  const { server, rendered } = found;
  const id = server.id;
  let { domain, record } = found;
  const drift = found.seen ? domainDrift(object, domain, record) : [];
  const left = drift.length > 0 && look?.judge(`server/${id}`, drift) === 'leave';
  look?.complete();
  // what is only reported waits for the object's next change; what is to be started needs a definition in any case
  const mayDefine = !left || (!domain && found.decision.power !== 'none');
  const differs = found.decision.define || drift.some(({ action }) => action === 'virsh define');
  const decision = { ...found.decision, define: mayDefine && differs };

  const save = async (change: Partial<ServerRecord>) => {
    const next = { ...record, run_epoch: Math.max(record.run_epoch, server.run_epoch), ...change };
    if (JSON.stringify(next) === JSON.stringify(record)) return;
    await writeRecord(options.host, options.stateDir, id, next);
    record = next;
  };
  const defineDomain = async () => {
    const directory = serverDirectory(options.stateDir, id);
    await options.host.makeDirectory(directory, 0o711);
    // also there for people to read; virsh takes files only
    await options.host.writeFile(`${directory}/domain.xml`, rendered.xml, 0o600);
    await virsh.change(['define', `${directory}/domain.xml`]);
  };
  const settled = (): Partial<ServerRecord> => ({
    revision: object.revision,
    boot_id: options.bootId,
    reboot: server.reboot,
    starting: false,
    stopping: null,
    // an edit that is only reported does not become what is expected
    ...(domain && !left ? { definition: domain.definition } : {}),
  });
  if (domain?.autostart && !left) await virsh.change(['autostart', id, '--disable']);

  if (decision.power !== 'none' && decision.power !== 'wait')
    log.info('power', { server: id, action: decision.power, why: decision.why });
  switch (decision.power) {
    case 'refuse':
      throw new HintedError(
        `server ${id} is not started: ${decision.why}`,
        'another host owns it; see `maru server explain`',
      );

    case 'start':
    case 'restart': {
      await requireReady(server, spec, options);
      // a server without a record is started in any case, so the first start needs none
      if (found.seen)
        await save({ power: 'running', boot_id: options.bootId, starting: true, stopping: null });
      const started = await options.startSlot(async () => {
        // the host may have been removed from its cloud while this waited
        if (!stillWanted()) return false;
        if (decision.power === 'restart') await endGuest(id, virsh);
        if (decision.define) await defineDomain();
        await virsh.change(['start', id], { timeoutMs: 180_000 });
        return true;
      });
      if (!started) return outcome(domain, { ...record, revision: null }, null);
      domain = await observeDomain(virsh, id);
      await save({
        ...settled(),
        power: 'running',
        launched_at: record.launched_at ?? options.host.now().toISOString(),
      });
      return outcome(domain, record, null);
    }

    case 'shutdown':
    case 'wait': {
      if (decision.define) await defineDomain();
      const stopping = {
        deadline: record.stopping?.deadline ?? found.now + options.shutdownTimeoutMs,
        asked: decision.power === 'shutdown' ? found.now : (record.stopping?.asked ?? found.now),
      };
      if (decision.power === 'shutdown') {
        await save({ stopping });
        await virsh.change(['shutdown', id, '--mode', 'acpi']);
      }
      return outcome(
        domain,
        { ...record, revision: null },
        Math.min(stopping.deadline, stopping.asked + ASK_AGAIN_MS),
      );
    }

    case 'destroy':
      await endGuest(id, virsh);
      if (decision.define) await defineDomain();
      domain = await observeDomain(virsh, id);
      await save({ ...settled(), power: 'stopped' });
      return outcome(domain, record, null);

    case 'none':
      if (decision.define) {
        if (!domain) await requireReady(server, spec, options);
        await defineDomain();
        domain = await observeDomain(virsh, id);
      }
      await save({ ...settled(), power: server.power });
      return outcome(domain, record, null);
  }
}

/** Destroys a server for good: its domain first, then its files. Repeating it does no harm. */
export async function destroyGuest(serverId: string, options: GuestOptions): Promise<void> {
  const { virsh, storage, log } = options;
  const domain = await observeDomain(virsh, serverId);
  if (domain) {
    refuseForeign(domain, serverId);
    if (!isOff(domain.power)) await endGuest(serverId, virsh);
    await virsh.change([
      'undefine',
      serverId,
      '--nvram',
      '--managed-save',
      '--snapshots-metadata',
      '--checkpoints-metadata',
    ]);
    log.info('domain removed', { server: serverId, domain: domain.name });
  }
  await storage.removeServer(serverId);
}

async function endGuest(id: string, virsh: Virsh): Promise<void> {
  try {
    await virsh.change(['destroy', id]);
  } catch (error) {
    // it may have ended by itself just now
    const left = await observeDomain(virsh, id);
    if (left && !isOff(left.power)) throw error;
  }
}

async function requireReady(server: ServerObject, spec: Spec, options: GuestOptions): Promise<void> {
  const disks = await options.storage.disksReady(server, spec);
  if (disks) throw new NotReadyError(disks);
  for (const nic of server.nics) {
    const port = await options.portReady(nic.port_id);
    if (port) throw new NotReadyError(port);
  }
}

function refuseForeign(domain: ObservedDomain, serverId: string): void {
  if ((domain.current ?? domain.defined)?.serverId === serverId) return;
  throw new HintedError(
    `domain ${domain.name} has the uuid ${serverId} but was not made for this server`,
    `look at it with 'virsh dumpxml ${domain.name}', and undefine it if nobody needs it`,
  );
}

function outcome(
  domain: ObservedDomain | null,
  record: ServerRecord,
  lookAgainAt: number | null,
): GuestOutcome {
  return {
    revision: record.revision,
    observed: { power_state: domain?.power ?? 'shutdown', launched_at: record.launched_at },
    lookAgainAt,
  };
}
