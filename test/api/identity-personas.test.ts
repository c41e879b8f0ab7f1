import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { identityService } from '../../src/api/identity/service.js';
import type { Operation, Schema } from '../../src/api/shared/operation.js';
import { MaruError } from '../../src/core/errors.js';
import { type IdentityScene, identityScene, type Subjects } from '../support/identity-scene.js';
import { withThings } from '../support/identity-scene-things.js';
import { ALLOWED, type Allowed, PERSONAS, type Persona, type Place } from './identity-personas.table.js';

/** About tokens, which the table does not give: tested beside their operations. */
const ELSEWHERE = ['token', 'revoke_events'];

/** What requests get that are about nothing, or ask for what cannot be. */
const UNFIT = [400, 404];
/** But for this: everybody may have application credentials, and a token without a project makes none. */
const NO_PROJECT = 'An application credential needs a token that is scoped to a project.';

describe('who may do what in identity', () => {
  const unfit: string[] = [];
  let scene: IdentityScene;
  let operations: readonly Operation[];
  let subjectsOf: (place: Place, persona: Persona) => Subjects;

  beforeAll(async () => {
    scene = await identityScene('sqlite');
    subjectsOf = await withThings(scene);
    operations = identityService(scene.cloud.app).operations.filter((operation) => operation.policy);
  });
  afterAll(() => scene.close());

  it('has a row for every operation', () => {
    const missing = operations.map(nameOf).filter((name) => !ALLOWED.has(name) && !isElsewhere(name));
    expect([...new Set(missing)]).toEqual([]);
  });

  it('lets nobody in without a token', async () => {
    for (const operation of operations) {
      const reply = await scene.cloud.request(operation.method, urlOf(operation, subjectsOf('own', 'admin')));
      expect(reply.status, `${operation.method} ${operation.path}`).toBe(401);
    }
  });

  it('answers every persona as Keystone does', async () => {
    // who is let through must change nothing, so that each cell finds the same cloud
    const refuse = async () => {
      throw new MaruError('conflict', 'nothing is stored in this test');
    };
    const { app } = scene.cloud;
    const stored = [
      vi.spyOn(app.identity, 'write').mockImplementation(refuse),
      vi.spyOn(app.store, 'tx').mockImplementation(refuse),
    ];
    const wrong: string[] = [];
    unfit.length = 0;
    let cells = 0;
    try {
      for (const operation of operations) {
        const allowed = ALLOWED.get(nameOf(operation));
        if (!allowed || isHeadOfGet(operation)) continue;
        for (const [place, persona] of cellsOf(operation, allowed)) {
          cells++;
          const passed = await passes(operation, persona, place);
          const should = (allowed[place] ?? []).includes(persona);
          if (passed === should) continue;
          wrong.push(
            `${operation.method} ${operation.path} (${place}): ${persona} is ${passed ? 'let in' : 'refused'}`,
          );
        }
      }
    } finally {
      for (const spy of stored) spy.mockRestore();
    }
    expect(wrong).toEqual([]);
    expect(unfit).toEqual([]);
    expect(cells).toBeGreaterThan(2000);
  }, 300_000);

  /** A HEAD with the policy of the GET beside it, which says more. */
  function isHeadOfGet({ method, path, policy }: Operation): boolean {
    if (method !== 'HEAD') return false;
    return operations.some((o) => o.method === 'GET' && o.path === path && o.policy?.name === policy?.name);
  }

  /** Whether the request got past the policy check; fails unless the refusal is Keystone's. */
  async function passes(operation: Operation, persona: Persona, place: Place): Promise<boolean> {
    const subjects = subjectsOf(place, persona);
    const reply = await scene.cloud.request(operation.method, urlOf(operation, subjects), {
      token: scene.tokens[persona],
      ...(operation.body && { body: bodyOf(operation, subjects) }),
    });
    const asked = `${operation.method} ${operation.path} (${place}) ${persona}: ${reply.status} ${reply.text}`;
    expect([401, 500], asked).not.toContain(reply.status);
    const message = String(reply.json?.error?.message ?? '');
    const denied =
      operation.method === 'HEAD'
        ? reply.status === 403
        : message.startsWith('You are not authorized to perform the requested action: identity:');
    if (!denied) {
      // let in is who gets at the thing, which is there, and not who asks for another by mistake
      if (UNFIT.includes(reply.status) && message !== NO_PROJECT) unfit.push(asked);
      return true;
    }
    if (operation.method === 'HEAD') return false;
    expect(reply.json.error).toMatchObject({ code: 403, title: 'Forbidden' });
    expect(reply.status).toBe(403);
    return false;
  }
});

function cellsOf(operation: Operation, allowed: Allowed): [Place, Persona][] {
  const about = /:(domain|project|user|group|limit|trust|credential)_id/.test(operation.path);
  const places: Place[] = about || operation.method === 'POST' ? ['own', 'other'] : ['own'];
  if (allowed.self) places.push('self');
  return places.flatMap((place) => PERSONAS.map((persona): [Place, Persona] => [place, persona]));
}

function nameOf({ policy }: Operation): string {
  return policy!.name.replace('identity:', '');
}

function isElsewhere(name: string): boolean {
  return ELSEWHERE.some((part) => name.includes(part));
}

function urlOf(operation: Operation, subjects: Subjects): string {
  const path = operation.path.replace(/:([a-z_]+)/g, (_, name: string) => {
    const kind = kindOf(name, operation.path);
    // those about tokens are not asked about what is there
    const id = subjects[kind] ?? (isElsewhere(nameOf(operation)) ? 'x' : undefined);
    if (id === undefined) throw new Error(`${operation.path}: the scene has no ${kind}`);
    return id;
  });
  const trusts = operation.path.endsWith('/trusts') && operation.method !== 'POST';
  return `/identity${path}${trusts ? `?trustor_user_id=${subjects.user}` : ''}`;
}

/** The kind of thing that a place in a path stands for. */
function kindOf(name: string, path: string): string {
  if (name === 'id') return /\/([a-z_]+)s\/:id/.exec(path)?.[1] ?? '';
  if (name === 'option') return path.includes('security_compliance') ? 'compliance_option' : 'config_option';
  if (name === 'group') return 'config_group';
  const kind = name.replace(/_id$/, '');
  return path.startsWith('/v3/system/') && kind !== 'role' ? `system_${kind}` : kind;
}

/** A body that says what it is about, and could be stored. */
function bodyOf({ body, method, path }: Operation, subjects: Subjects): unknown {
  const { domain, user, service, project, role } = subjects;
  const [envelope] = Object.keys((body as Schema).properties as object);
  if (path.includes('/config')) {
    return { config: path.endsWith(':option') ? { url: 'ldap://new' } : { ldap: { url: 'ldap://new' } } };
  }
  const about = { domain_id: domain, user_id: user, trustor_user_id: user };
  const trustee = { trustee_user_id: user, impersonation: false, project_id: project, roles: [{ id: role }] };
  const ofService = { service_id: service, resource_name: 'things' };
  const made: Readonly<Record<string, unknown>> = {
    domain: { name: 'new' },
    project: { ...about, name: 'new' },
    user: { ...about, name: 'new' },
    group: { ...about, name: 'new' },
    role: { ...about, name: 'new' },
    service: { ...about, type: 'new' },
    endpoint: { ...about, service_id: service, interface: 'public', url: 'http://new' },
    application_credential: { name: 'new' },
    credential: { ...about, type: 'cert', blob: 'new' },
    tenant_id: project,
    trust: { ...about, ...trustee },
    endpoint_group: { name: 'new', filters: { interface: 'public' } },
    policy: { ...about, type: 'text', blob: 'new' },
    registered_limits: [{ ...ofService, resource_name: 'more', default_limit: 1 }],
    limits: [{ ...ofService, project_id: project, resource_limit: 1 }],
  };
  const changed: Readonly<Record<string, unknown>> = {
    tags: ['new'],
    registered_limit: { default_limit: 3 },
    limit: { resource_limit: 3 },
  };
  const value = method === 'POST' ? made[envelope!] : changed[envelope!];
  return { [envelope!]: value ?? about };
}
