import { readLimits } from '../../store/quota.js';
import type { Reader, Store, Tx } from '../../store/store.js';
import { type MaruError, overQuota } from '../errors.js';

/** A limit that never refuses. */
export const UNLIMITED = -1;

/** The "project" under which an administrator's changed defaults are kept (quota class `default`). */
export const DEFAULT_CLASS = 'class:default';

/** What a claim would do to one limit. */
export interface QuotaUse {
  readonly projectId: string;
  readonly service: string;
  readonly resource: string;
  readonly limit: number;
  readonly used: number;
  readonly adding: number;
}

/** A claim about to be made. */
export interface QuotaClaim {
  readonly projectId: string;
  /** Family of limits, which is also the lock taken: `compute`, `network`, `volume` … */
  readonly service: string;
  readonly resource: string;
  /** Counts what is in use. A function runs under the lock; a number must have been counted under it. */
  readonly used: number | (() => Promise<number>);
  readonly adding: number;
  /** The limit of a project that has none of its own, unless the default class was changed. */
  readonly fallback: number;
  /** The refusal in the service's words. */
  readonly refuse?: (use: QuotaUse) => MaruError;
}

/**
 * Refuses (over-quota) when a claim would pass its limit. Call it in the transaction that makes the claim, before making
 * it: the lock of (project, service) is held until the transaction ends, so that parallel claims cannot both pass.
 */
export async function checkQuota(tx: Tx, store: Store, claim: QuotaClaim): Promise<void> {
  const { projectId, service, resource, adding } = claim;
  if (adding <= 0) return;
  await store.lockFamily(tx, projectId, service);
  const limits = await effectiveLimits(tx, projectId, service, { [resource]: claim.fallback });
  const limit = limits[resource] ?? claim.fallback;
  if (limit < 0) return;
  const used = typeof claim.used === 'number' ? claim.used : await claim.used();
  if (used + adding <= limit) return;
  const refuse = claim.refuse ?? defaultRefusal;
  throw refuse({ projectId, service, resource, limit, used, adding });
}

/** Every limit of a project: its own, else the default class's, else the given defaults. */
export async function effectiveLimits<T extends Readonly<Record<string, number>>>(
  db: Reader,
  projectId: string,
  service: string,
  defaults: T,
): Promise<{ [K in keyof T]: number }> {
  const changed = await readLimits(db, DEFAULT_CLASS, service);
  const own = projectId === DEFAULT_CLASS ? {} : await readLimits(db, projectId, service);
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, own[name] ?? changed[name] ?? value]),
  ) as { [K in keyof T]: number };
}

function defaultRefusal(use: QuotaUse): MaruError {
  return overQuota(
    `Quota exceeded for resources: ['${use.resource}'] (limit ${use.limit}, used ${use.used}, requested ${use.adding}).`,
    { type: 'OverQuota' },
  );
}
