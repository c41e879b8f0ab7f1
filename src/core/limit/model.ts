import { listLimits, registeredLimits } from '../../store/identity/limits.js';
import { descendants, projects } from '../../store/identity/projects.js';
import type { Reader } from '../../store/store.js';
import { forbidden } from '../errors.js';

export type LimitModelName = 'flat' | 'strict_two_level';

/** How the limits of a project relate to those above and below it. */
export interface LimitModel {
  readonly name: LimitModelName;
  readonly description: string;
  /** How many projects may be above a project, its domain among them; null: as many as may nest. */
  readonly maxAbove: number | null;
  /** Refuses (403) a limit that does not fit into the hierarchy, given the others that are about to be stored with it. */
  check(db: Reader, limit: ProposedLimit, together: readonly ProposedLimit[]): Promise<void>;
}

/** A limit that is about to be stored: of a project or of a domain. */
export interface ProposedLimit {
  readonly project_id: string;
  readonly domain_id: string;
  readonly service_id: string;
  readonly region_id: string;
  readonly resource_name: string;
  readonly resource_limit: number;
}

export const LIMIT_MODELS: Readonly<Record<LimitModelName, LimitModel>> = {
  flat: {
    name: 'flat',
    description: 'Limit enforcement and validation does not take project hierarchy into consideration.',
    maxAbove: null,
    check: async () => {},
  },
  strict_two_level: {
    name: 'strict_two_level',
    description: 'This model requires project hierarchy never exceeds a depth of two',
    maxAbove: 2,
    check: checkTwoLevels,
  },
};

async function checkTwoLevels(
  db: Reader,
  limit: ProposedLimit,
  together: readonly ProposedLimit[],
): Promise<void> {
  const fits = limit.project_id
    ? await fitsBelowDomain(db, limit, together)
    : await fitsAboveProjects(db, limit, together);
  if (fits) return;
  const [level, id] = limit.project_id ? ['project_id', limit.project_id] : ['domain_id', limit.domain_id];
  throw forbidden(
    `Invalid resource limit: The resource limit (${level}: ${id}, resource_name: ${limit.resource_name}, ` +
      `resource_limit: ${limit.resource_limit}, service_id: ${limit.service_id}, ` +
      `region_id: ${limit.region_id || 'None'}) doesn't satisfy current hierarchy model..`,
  );
}

async function fitsBelowDomain(
  db: Reader,
  limit: ProposedLimit,
  together: readonly ProposedLimit[],
): Promise<boolean> {
  const parentId = (await projects.get(db, limit.project_id))?.parent_id ?? '';
  const above = together.find((other) => other.domain_id === parentId && sameResource(other, limit));
  const value = above?.resource_limit ?? (await domainLimit(db, parentId, limit));
  return value === undefined || size(limit.resource_limit) <= size(value);
}

async function fitsAboveProjects(
  db: Reader,
  limit: ProposedLimit,
  together: readonly ProposedLimit[],
): Promise<boolean> {
  const below = (await descendants(db, limit.domain_id)).map(({ id }) => id);
  const stored = await listLimits(db, { ...resourceOf(limit), project_id: below });
  const proposed = together.filter((other) => below.includes(other.project_id) && sameResource(other, limit));
  const replaced = new Set(proposed.map((other) => other.project_id));
  const all = [...stored.filter((row) => !replaced.has(row.project_id)), ...proposed];
  return all.every((row) => size(row.resource_limit) <= size(limit.resource_limit));
}

/** The limit of a domain, or the registered one that holds without it. */
async function domainLimit(db: Reader, id: string, limit: ProposedLimit): Promise<number | undefined> {
  const [own] = await listLimits(db, { ...resourceOf(limit), domain_id: id });
  if (own) return own.resource_limit;
  const [registered] = await registeredLimits.list(db, resourceOf(limit));
  return registered?.default_limit;
}

function resourceOf({ service_id, region_id, resource_name }: ProposedLimit) {
  return { service_id, region_id, resource_name };
}

function sameResource(one: ProposedLimit, other: ProposedLimit): boolean {
  return (
    one.service_id === other.service_id &&
    one.region_id === other.region_id &&
    one.resource_name === other.resource_name
  );
}

/** -1 stands for no limit. */
function size(limit: number): number {
  return limit < 0 ? Number.POSITIVE_INFINITY : limit;
}
