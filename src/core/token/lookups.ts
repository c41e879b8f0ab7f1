import { ancestors, findProject, type ProjectRow, projects } from '../../store/identity/projects.js';
import {
  type IssuedAt,
  isRevoked,
  type LatestRevocation,
  latestRevocation,
  type RevocationKind,
} from '../../store/identity/tokens.js';
import { type UserRow, users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import { type CatalogEntry, type CatalogRows, fillCatalog, readCatalog } from '../catalog/render.js';
import { type RoleLookups, type RoleTable, readRoleTable } from '../role/effective.js';
import { MiB } from './bounded-cache.js';
import { EpochCache } from './epoch-cache.js';

/** Rows of users and projects that are kept. */
const MOST_ROWS = { entries: 2000, bytes: 8 * MiB };
/** Catalogues kept; each is some kilobytes. */
const MOST_CATALOGS = { entries: 500, bytes: 8 * MiB };
const ONE = { entries: 1, bytes: 8 * MiB };

/** What tokens are made of, looked up. Project and domain rows are those of one epoch. */
export interface Lookups extends RoleLookups {
  user(id: string): Promise<UserRow | null>;
  project(id: string): Promise<ProjectRow | null>;
  /** A project by its name in a domain; a domain when the domain id is empty. */
  projectNamed(domainId: string, name: string): Promise<ProjectRow | null>;
  /** True when a token with these subjects, issued at that time, is revoked. */
  isRevoked(issued: IssuedAt, subjects: readonly (readonly [RevocationKind, string])[]): Promise<boolean>;
  /** The catalogue for a token of the project and user. */
  catalog(projectId: string | null, userId: string): Promise<readonly CatalogEntry[]>;
}

/**
 * Keeps rows that many tokens have in common for as long as the identity epoch stays: their writers move it, so what is kept is
 * what the database has. What there is not is not kept, so that unknown names fill nothing.
 */
export class LookupCache {
  readonly #db: Reader;
  readonly #users = new EpochCache<UserRow>(MOST_ROWS);
  readonly #projects = new EpochCache<ProjectRow>(MOST_ROWS);
  readonly #names = new EpochCache<ProjectRow>(MOST_ROWS);
  readonly #above = new EpochCache<readonly ProjectRow[]>(MOST_ROWS);
  readonly #roles = new EpochCache<RoleTable>(ONE);
  readonly #revoked = new EpochCache<LatestRevocation>(ONE);
  readonly #catalogRows = new EpochCache<CatalogRows>(MOST_CATALOGS);
  readonly #catalogs = new EpochCache<readonly CatalogEntry[]>(MOST_CATALOGS);

  constructor(db: Reader) {
    this.#db = db;
  }

  /** Lookups by what was kept in this epoch; it must have been read before, so that nothing older is kept for it. */
  at(epoch: number): Lookups {
    const db = this.#db;
    return {
      user: (id) => this.#users.get(epoch, id, async () => (await users.get(db, id)) ?? null),
      project: (id) => this.#projects.get(epoch, id, async () => (await projects.get(db, id)) ?? null),
      projectNamed: (domainId, name) =>
        this.#names.get(
          epoch,
          JSON.stringify([domainId, name]),
          async () => (await findProject(db, domainId, name)) ?? null,
        ),
      above: (project) => this.#above.get(epoch, project.id, () => ancestors(db, project)),
      roleTable: () => this.#roles.get(epoch, '', () => readRoleTable(db)),
      isRevoked: async (issued, subjects) => {
        const latest = await this.#revoked.get(epoch, '', () => latestRevocation(db));
        // nothing at all has been revoked since
        const none =
          issued.epoch === null
            ? latest.until < issued.time
            : latest.epoch <= issued.epoch && latest.untilByTime < issued.time;
        if (none) return false;
        return await isRevoked(db, issued, subjects);
      },
      catalog: async (projectId, userId) => {
        const found = await this.#catalogRows.get(epoch, projectId ?? '', () => readCatalog(db, projectId));
        const key = JSON.stringify([projectId, found.namesUser ? userId : null]);
        return await this.#catalogs.get(epoch, key, async () => fillCatalog(found, { projectId, userId }));
      },
    };
  }
}
