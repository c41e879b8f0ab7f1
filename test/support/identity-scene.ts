import { PERSONAS, type Persona, type Place } from '../api/identity-personas.table.js';
import { TestApp } from './app.js';
import type { Dialect } from './stores.js';

/** Ids of what a request is about, by kind. */
export type Subjects = Readonly<Record<string, string>>;

/** Two domains with a project, a user and a group each, and somebody of every kind whose home is the first. */
export interface IdentityScene {
  readonly cloud: TestApp;
  readonly tokens: Readonly<Record<Persona, string>>;
  readonly users: Readonly<Record<Persona, string>>;
  /** What belongs to the personas' own domain, to the other one, or to the persona itself. */
  subjects(place: Place, persona: Persona): Subjects;
  /** A request as the persona, or as the administrator; the reply's body must have the status. */
  call(method: string, path: string, body?: unknown, as?: Persona): ReturnType<TestApp['request']>;
  close(): Promise<void>;
}

const ROLES: Readonly<Record<Persona, string | null>> = {
  admin: 'admin',
  'system-admin': 'admin',
  'system-reader': 'reader',
  'domain-admin': 'admin',
  'domain-manager': 'manager',
  'domain-member': 'member',
  'domain-reader': 'reader',
  'project-manager': 'manager',
  'project-member': 'member',
  'project-reader': 'reader',
  service: 'service',
  unscoped: null,
};

/** Makes the scene through the API; tokens are issued without passwords, which cost time. */
export async function identityScene(dialect: Dialect): Promise<IdentityScene> {
  const cloud = await TestApp.open({ dialect });
  const root = await cloud.adminToken();
  const as = async (token: string, method: string, path: string, body?: unknown) => {
    const reply = await cloud.request(method, `/identity/v3${path}`, { token, body });
    if (reply.status >= 400) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return reply.json;
  };
  const make = async (kind: string, values: Record<string, unknown>) =>
    (await as(root, 'POST', `/${kind}s`, { [kind]: values }))[kind].id as string;
  const roles = new Map<string, string>();
  for (const role of (await as(root, 'GET', '/roles')).roles) roles.set(role.name, role.id);
  const issue = async (userId: string, scope: object) => {
    const token = await cloud.app.identity.tokens.issue({
      userId,
      methods: ['password'],
      scope: scope as { kind: 'unscoped' },
    });
    if (!token) throw new Error(`no token for ${userId} with scope ${JSON.stringify(scope)}`);
    return token.text;
  };

  const [service, region] = [await make('service', { type: 'scene' }), await make('region', { id: 'scene' })];
  const endpoint = await make('endpoint', { service_id: service, interface: 'public', url: 'http://scene' });
  const [registered] = (
    await as(root, 'POST', '/registered_limits', {
      registered_limits: [{ service_id: service, resource_name: 'things', default_limit: 10 }],
    })
  ).registered_limits;
  const common = {
    service,
    region,
    endpoint,
    registered_limit: registered.id,
    role: roles.get('reader')!,
    prior_role: roles.get('manager')!,
    implied_role: roles.get('member')!,
    tag: 'tag',
  };

  const place = async (name: string) => {
    const domain = await make('domain', { name });
    const project = await make('project', { name, domain_id: domain, tags: ['tag'] });
    const user = await make('user', { name: `${name}-user`, domain_id: domain });
    const group = await make('group', { name: `${name}-group`, domain_id: domain });
    await as(root, 'PUT', `/groups/${group}/users/${user}`);
    const resource = { service_id: service, resource_name: 'things', resource_limit: 5 };
    const limits = { limits: [{ ...resource, project_id: project }] };
    const limit = (await as(root, 'POST', '/limits', limits)).limits[0].id as string;
    await as(root, 'PUT', `/projects/${project}/users/${user}/roles/${common.role}`);
    return { ...common, domain, project, user, group, limit, ...(await owned(user, project)) };
  };
  /** What a user has of its own; its trust is for itself. */
  const owned = async (user: string, project: string) => {
    const credential = await make('credential', { user_id: user, type: 'cert', blob: 'blob' });
    const token = await issue(user, { kind: 'project', id: project });
    const body = {
      trustor_user_id: user,
      trustee_user_id: user,
      project_id: project,
      impersonation: false,
      roles: [{ id: common.role }],
    };
    const { trust } = await as(token, 'POST', '/OS-TRUST/trusts', { trust: body });
    const pair = await as(root, 'POST', `/users/${user}/credentials/OS-EC2`, { tenant_id: project });
    return { credential, trust: trust.id as string, access: pair.credential.access as string };
  };
  const own = await place('own');
  const other = await place('other');

  const tokens = {} as Record<Persona, string>;
  const users = {} as Record<Persona, string>;
  const selves = {} as Record<Persona, Subjects>;
  const admin = await cloud.admin();
  for (const persona of PERSONAS) {
    const user = await make('user', { name: persona, domain_id: own.domain });
    users[persona] = user;
    // everybody may read in its project, to have something to hand on
    await as(root, 'PUT', `/projects/${own.project}/users/${user}/roles/${common.role}`);
    const scope = scopeOf(persona, own, admin.projectId);
    const role = ROLES[persona];
    if (role !== null) await as(root, 'PUT', `${grantPath(scope)}/users/${user}/roles/${roles.get(role)}`);
    selves[persona] = { ...own, user, ...(await owned(user, own.project)) };
    tokens[persona] = await issue(user, scope);
  }
  // the reader's role was for the trusts only
  for (const persona of PERSONAS) {
    if (persona === 'project-reader') continue;
    await as(root, 'DELETE', `/projects/${own.project}/users/${users[persona]}/roles/${common.role}`);
  }
  return {
    cloud,
    tokens,
    users,
    subjects: (where, persona) => (where === 'own' ? own : where === 'other' ? other : selves[persona]),
    call: async (method, path, body, persona) =>
      await cloud.request(method, `/identity/v3${path}`, { token: persona ? tokens[persona] : root, body }),
    close: () => cloud.close(),
  };
}

type Scope =
  | { readonly kind: 'project' | 'domain'; readonly id: string }
  | { readonly kind: 'system' | 'unscoped' };

function scopeOf(persona: Persona, own: Subjects, adminProject: string): Scope {
  if (persona === 'unscoped') return { kind: 'unscoped' };
  if (persona === 'admin') return { kind: 'project', id: adminProject };
  if (persona.startsWith('system-')) return { kind: 'system' };
  if (persona.startsWith('domain-')) return { kind: 'domain', id: own.domain! };
  return { kind: 'project', id: own.project! };
}

function grantPath(scope: Scope): string {
  return 'id' in scope ? `/${scope.kind}s/${scope.id}` : '/system';
}
