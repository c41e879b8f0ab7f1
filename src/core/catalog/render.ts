import { type EndpointRow, endpoints, type ServiceRow, services } from '../../store/identity/catalog.js';
import type { Reader } from '../../store/store.js';
import { confinedEndpoints } from './endpoint-filter.js';

/** An entry of a token's catalogue, as clients read it. */
export interface CatalogEntry {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly endpoints: readonly {
    readonly id: string;
    readonly interface: string;
    readonly region_id: string | null;
    readonly region: string | null;
    readonly url: string;
  }[];
}

/**
 * The catalogue for a token of the given project and user: enabled services with their enabled endpoints, or those that the
 * project is confined to. Endpoints whose URL names the project are left out of tokens without one.
 */
export async function renderCatalog(
  db: Reader,
  values: { readonly projectId: string | null; readonly userId: string },
): Promise<CatalogEntry[]> {
  return fillCatalog(await readCatalog(db, values.projectId), values);
}

/** What a project's catalogue is made of: the same for all its users. */
export interface CatalogRows {
  readonly services: readonly ServiceRow[];
  readonly endpoints: readonly EndpointRow[];
  /** The project is confined to these endpoints: services without one are left out. */
  readonly confined: boolean;
  /** Some URL names the user. */
  readonly namesUser: boolean;
}

/** Reads what the catalogue of a project, or of tokens without one, is made of. */
export async function readCatalog(db: Reader, projectId: string | null): Promise<CatalogRows> {
  const confined = projectId === null ? null : await confinedEndpoints(db, projectId);
  const rows = (await endpoints.list(db, { enabled: 1 })).filter(({ id }) => confined?.has(id) ?? true);
  return {
    services: await services.list(db, { enabled: 1 }),
    endpoints: rows,
    confined: confined !== null,
    namesUser: rows.some(({ url }) => url.includes('(user_id)')),
  };
}

/** Puts the ids into what `readCatalog` gave. */
export function fillCatalog(
  { services: serviceRows, endpoints: endpointRows, confined }: CatalogRows,
  values: { readonly projectId: string | null; readonly userId: string },
): CatalogEntry[] {
  const entries = serviceRows.map((service) => ({
    id: service.id,
    type: service.type,
    name: service.name ?? '',
    endpoints: endpointRows
      .filter((endpoint) => endpoint.service_id === service.id)
      .flatMap((endpoint) => {
        const url = fill(endpoint.url, values);
        if (url === null) return [];
        const { id, region_id } = endpoint;
        return [{ id, interface: endpoint.interface, region_id, region: region_id, url }];
      }),
  }));
  return confined ? entries.filter((entry) => entry.endpoints.length > 0) : entries;
}

/** Puts ids into `%(name)s` and `$(name)s`; null when a name has no value here. */
function fill(
  url: string,
  values: { readonly projectId: string | null; readonly userId: string },
): string | null {
  let complete = true;
  const text = url.replace(/[%$]\(([a-z_]+)\)s/g, (_, name: string) => {
    const value =
      name === 'project_id' || name === 'tenant_id'
        ? values.projectId
        : name === 'user_id'
          ? values.userId
          : null;
    if (value === null) complete = false;
    return value ?? '';
  });
  return complete ? text : null;
}

/** True when the URL uses only names that `renderCatalog` knows. */
export function isValidUrlTemplate(url: string): boolean {
  const names = [...url.matchAll(/[%$]\(([^)]*)\)s/g)].map((match) => match[1]!);
  const rest = url.replace(/[%$]\([^)]*\)s/g, '');
  return names.every((name) => ['project_id', 'tenant_id', 'user_id'].includes(name)) && !/[%$]\(/.test(rest);
}
