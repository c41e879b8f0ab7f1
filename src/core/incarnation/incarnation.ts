import type { PlanStep } from '../../protocol/messages.js';
import { findHost, findHostByName, type HostRow, listHosts, updateHost } from '../../store/hosts.js';
import { findIncarnation, readIncarnation, replaceIncarnation } from '../../store/incarnation.js';
import { recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { conflict, notFound } from '../errors.js';
import { type KnownOrphan, orphansOf } from '../host/orphans.js';

/** How a host that only observes differs from the database. */
export interface HostDifference {
  readonly name: string;
  readonly up: boolean;
  /** False: it acts on what the database says. */
  readonly observe_only: boolean;
  /** What it would do if it were accepted; null: it cannot be asked now. */
  readonly steps: readonly PlanStep[] | null;
  /** Why it cannot be asked. */
  readonly problem: string | null;
  /** What it has and the database does not name: kept when it is accepted. */
  readonly orphans: readonly KnownOrphan[];
}

/** The state of the database that hosts go by, and the hosts that wait for an operator to accept it. */
export interface IncarnationStatus {
  readonly id: string;
  readonly reason: string;
  readonly since: string;
  readonly hosts: readonly HostDifference[];
}

const ASKED_AT_ONCE = 8;

/** The incarnation in force, and what each host that only observes would change. */
export async function incarnationStatus(app: App): Promise<IncarnationStatus> {
  const db = app.store.read;
  const { id, reason, created_at } = await findIncarnation(db);
  const hosts = await listHosts(db);
  const differences: HostDifference[] = [];
  for (let at = 0; at < hosts.length; at += ASKED_AT_ONCE) {
    const some = hosts.slice(at, at + ASKED_AT_ONCE);
    differences.push(...(await Promise.all(some.map((host) => difference(app, host)))));
  }
  return { id, reason, since: created_at, hosts: differences };
}

/**
 * Begins a new incarnation: every host only observes until it is accepted, and every token ends. For whoever has restored a backup.
 */
export async function beginIncarnation(app: App, reason: string): Promise<void> {
  const begun = await app.identity.write(async (tx) =>
    replaceIncarnation(tx, await readIncarnation(tx), reason),
  );
  if (begun === null) throw conflict('Another incarnation has just begun; look at maru incarnation show.');
  app.log.warn('a new incarnation begins: all hosts only observe, and every token ends', {
    reason,
    incarnation: begun,
  });
}

/** Lets hosts act on what the database says; all that only observe when none is named. Gives their names. */
export async function acceptHosts(
  app: App,
  ctx: Context,
  names: readonly string[] | null,
): Promise<readonly string[]> {
  return await app.store.tx(async (tx) => {
    const wanted = names === null ? await listHosts(tx) : [];
    for (const name of names ?? []) {
      const host = (await findHostByName(tx, name)) ?? (await findHost(tx, name));
      if (!host) throw notFound(`There is no host '${name}'; maru host list shows them.`);
      wanted.push(host);
    }
    const waiting = wanted.filter((host) => host.observe_only === 1);
    for (const host of waiting) {
      await updateHost(tx, host.id, { observe_only: 0 });
      await recordChange(tx, 'host', host.id, ctx.requestId);
    }
    return waiting.map((host) => host.name);
  });
}

async function difference(app: App, host: HostRow): Promise<HostDifference> {
  const observing = host.observe_only === 1;
  const summary = { name: host.name, up: app.hosts.isUp(host.id), observe_only: observing };
  if (!observing) return { ...summary, steps: [], problem: null, orphans: [] };
  const orphans = await orphansOf(app, host);
  // until the host has taken the new incarnation its plan is about the one before
  const undelivered = app.hosts.deliveryFault(host.id);
  if (undelivered) return { ...summary, steps: null, problem: undelivered, orphans };
  try {
    const { steps } = await app.hosts.plan(host.id);
    return { ...summary, steps, problem: null, orphans };
  } catch (error) {
    return { ...summary, steps: null, problem: (error as Error).message, orphans };
  }
}
