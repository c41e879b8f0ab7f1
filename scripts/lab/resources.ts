import type { Cloud } from './cloud.js';

export interface Named {
  readonly id: string;
  readonly name: string;
}

/** One kind of thing in a service: its path and the words its bodies use. */
interface Kind {
  readonly service: string;
  readonly path: string;
  readonly one: string;
  readonly many: string;
}

export const KINDS = {
  project: { service: 'identity', path: '/projects', one: 'project', many: 'projects' },
  user: { service: 'identity', path: '/users', one: 'user', many: 'users' },
  role: { service: 'identity', path: '/roles', one: 'role', many: 'roles' },
  network: { service: 'network', path: '/v2.0/networks', one: 'network', many: 'networks' },
  subnet: { service: 'network', path: '/v2.0/subnets', one: 'subnet', many: 'subnets' },
  router: { service: 'network', path: '/v2.0/routers', one: 'router', many: 'routers' },
  port: { service: 'network', path: '/v2.0/ports', one: 'port', many: 'ports' },
  floatingIp: { service: 'network', path: '/v2.0/floatingips', one: 'floatingip', many: 'floatingips' },
  securityGroup: {
    service: 'network',
    path: '/v2.0/security-groups',
    one: 'security_group',
    many: 'security_groups',
  },
  securityGroupRule: {
    service: 'network',
    path: '/v2.0/security-group-rules',
    one: 'security_group_rule',
    many: 'security_group_rules',
  },
  server: { service: 'compute', path: '/servers', one: 'server', many: 'servers' },
  flavor: { service: 'compute', path: '/flavors', one: 'flavor', many: 'flavors' },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;

/** What matches the filters. */
export async function list<T = Named>(
  cloud: Cloud,
  kind: KindName,
  filters: Record<string, string> = {},
): Promise<T[]> {
  const { service, path, many } = KINDS[kind];
  const query = new URLSearchParams(filters).toString();
  const body = await cloud.call<Record<string, T[]>>(service, 'GET', `${path}${query ? `?${query}` : ''}`);
  return body[many] ?? [];
}

export async function create<T = Named>(cloud: Cloud, kind: KindName, attributes: object): Promise<T> {
  const { service, path, one } = KINDS[kind];
  const body = await cloud.call<Record<string, T>>(service, 'POST', path, { [one]: attributes });
  return body[one] as T;
}

export async function show<T = Named>(cloud: Cloud, kind: KindName, id: string): Promise<T> {
  const { service, path, one } = KINDS[kind];
  return (await cloud.call<Record<string, T>>(service, 'GET', `${path}/${id}`))[one] as T;
}

/** The thing of this name, made if there is none. */
export async function findOrCreate<T extends Named = Named>(
  cloud: Cloud,
  kind: KindName,
  name: string,
  attributes: object,
  scope: Record<string, string> = {},
): Promise<T> {
  const found = await list<T>(cloud, kind, { name, ...scope });
  // compute's filter by name is a regular expression
  return found.find((one) => one.name === name) ?? (await create<T>(cloud, kind, { name, ...attributes }));
}
