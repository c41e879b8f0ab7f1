import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { identityService } from '../../src/api/identity/service.js';
import type { Operation, Schema } from '../../src/api/shared/operation.js';
import { MaruError } from '../../src/core/errors.js';
import { type IdentityScene, identityScene, type Subjects } from '../support/identity-scene.js';
import { ALLOWED, type Allowed, PERSONAS, type Persona, type Place } from './identity-personas.table.js';

/** About tokens, which the table does not give: tested beside their operations. */
const ELSEWHERE = ['token', 'revoke_events'];

describe('who may do what in identity', () => {
  let scene: IdentityScene;
  let operations: readonly Operation[];

  beforeAll(async () => {
    scene = await identityScene('sqlite');
    operations = identityService(scene.cloud.app).operations.filter((operation) => operation.policy);
  }, 30_000);
  afterAll(() => scene.close());

  it('has a row for every operation', () => {
    const missing = operations.map(nameOf).filter((name) => !ALLOWED.has(name) && !isElsewhere(name));
    expect([...new Set(missing)]).toEqual([]);
  });

  it('lets nobody in without a token', async () => {
    for (const operation of operations) {
      const reply = await scene.cloud.request(
        operation.method,
        urlOf(operation, scene.subjects('own', 'admin')),
      );
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
    expect(cells).toBeGreaterThan(2000);
  }, 120_000);

  /** A HEAD with the policy of the GET beside it, which says more. */
  function isHeadOfGet({ method, path, policy }: Operation): boolean {
    if (method !== 'HEAD') return false;
    return operations.some((o) => o.method === 'GET' && o.path === path && o.policy?.name === policy?.name);
  }

  /** Whether the request got past the policy check; fails unless the refusal is Keystone's. */
  async function passes(operation: Operation, persona: Persona, place: Place): Promise<boolean> {
    const subjects = scene.subjects(place, persona);
    const reply = await scene.cloud.request(operation.method, urlOf(operation, subjects), {
      token: scene.tokens[persona],
      ...(operation.body && { body: bodyOf(operation, subjects) }),
    });
    expect([401, 500], `${operation.method} ${operation.path} ${persona}: ${reply.text}`).not.toContain(
      reply.status,
    );
    if (operation.method === 'HEAD') return reply.status !== 403;
    const denied = 'You are not authorized to perform the requested action: identity:';
    if (!String(reply.json?.error?.message ?? '').startsWith(denied)) return true;
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
    const kind =
      name === 'id' ? (/\/v3\/([a-z]+)s\//.exec(operation.path)?.[1] ?? '') : name.replace(/_id$/, '');
    return subjects[kind] ?? 'x';
  });
  const trusts = operation.path.endsWith('/trusts') && operation.method !== 'POST';
  return `/identity${path}${trusts ? `?trustor_user_id=${subjects.user}` : ''}`;
}

/** A body that says what it is about, and lacks what the operation needs: it is refused after the check. */
function bodyOf(operation: Operation, { domain, user }: Subjects): unknown {
  const [envelope] = Object.keys((operation.body as Schema).properties as object);
  return { [envelope!]: { domain_id: domain, user_id: user, trustor_user_id: user } };
}
