import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_ACTIONS } from '../../src/api/compute/server/actions.js';
import { allServices } from '../../src/api/services.js';
import type { Operation } from '../../src/api/shared/operation.js';
import type { Service } from '../../src/api/shared/service.js';
import type { App } from '../../src/core/app.js';
import { ownTarget } from '../../src/core/policy/target.js';
import { TestApp, type TestReply } from '../support/app.js';
import { makePersonas, type Persona } from '../support/personas.js';

/**
 * Who may do what in every service but identity: one request of every declared operation by each persona. The answers are a
 * file for review, so that a new operation shows up there, and are held to what the roles mean.
 */

const SERVICES = ['compute', 'network', 'image', 'volume', 'placement', 'admin'];
const GOLDEN = join(import.meta.dirname, '../golden/policy');
const NOTHING = '5b4c3a2f-1e0d-4c9b-8a7f-6e5d4c3b2a10';

/** Writes that belong to a user, not to a project: as in Nova, whoever has a token may make and remove key pairs of his own. */
const READERS_WRITE = ['compute POST /v2.1/os-keypairs', 'compute DELETE /v2.1/os-keypairs/:name'];

/** One kind of request: operations that do several things by their body are several. */
interface Asked {
  readonly key: string;
  readonly policy: string;
  readonly service: Service;
  readonly operation: Operation;
  readonly body: Readonly<Record<string, unknown>>;
}

describe('every operation of compute, network, image, volume, placement and admin', () => {
  let cloud: TestApp;
  let services: readonly Service[];
  let personas: readonly Persona[];
  const allowed = new Map<string, ReadonlySet<string>>();
  const faults: string[] = [];
  let asked: readonly Asked[];

  beforeAll(async () => {
    const mounted = (name: string) => (app: App) => allServices(app).find((s) => s.name === name)!;
    cloud = await TestApp.open({ services: SERVICES.map(mounted) });
    services = allServices(cloud.app).filter(({ name }) => SERVICES.includes(name));
    personas = await makePersonas(cloud);
    asked = services.flatMap(requestsOf);
    for (const one of asked) {
      const may = new Set<string>();
      for (const persona of personas) {
        const reply = await send(cloud, one, persona, personas);
        if (reply.status !== 403) may.add(persona.name);
        if (reply.status === 401 || (reply.status >= 500 && reply.status !== 503)) {
          faults.push(`${one.key} by ${persona.name}: ${reply.status} ${reply.text}`);
        }
      }
      allowed.set(one.key, may);
    }
  });
  afterAll(() => cloud.close());

  it('answers nobody with a fault, and takes everybody’s token', () => {
    expect(faults).toEqual([]);
  });

  it('is allowed to whom the file says', async () => {
    const lines = asked.map(({ key, policy }) => `${key}  [${policy}]\n  ${people(allowed.get(key)!)}`);
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(join(GOLDEN, 'operations.txt'));
  });

  it('has further rules, of parts of requests and replies, that hold for whom the file says', async () => {
    const names = new Set(services.flatMap(({ rules }) => Object.keys(rules ?? {})));
    const lines = [...names].toSorted().map((name) => {
      const may = personas.filter(({ info }) => cloud.app.policy.check(name, info, ownTarget(info)));
      return `${name}: ${people(new Set(may.map((persona) => persona.name)))}`;
    });
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(join(GOLDEN, 'rules.txt'));
  });

  it('is never refused to the administrator', () => {
    const refused = asked.filter(
      ({ key }) => !allowed.get(key)!.has('admin') || !allowed.get(key)!.has('system-admin'),
    );
    expect(refused.map(({ key }) => key)).toEqual([]);
  });

  it('changes nothing for readers, but what is their own', () => {
    const writes = asked.filter(({ operation }) => !['GET', 'HEAD'].includes(operation.method));
    const byReaders = writes.filter(({ key }) => allowed.get(key)!.has('reader')).map(({ key }) => key);
    expect(byReaders).toEqual(READERS_WRITE);
  });

  it('is allowed to a manager where it is to a member, and to a member where it is to a reader', () => {
    for (const [key, may] of allowed) {
      if (may.has('reader')) expect(may, key).toContain('member');
      if (may.has('member')) expect(may, key).toContain('manager');
    }
  });

  it('is nothing that a role of one’s own has by itself, nor a token without a scope, but what everybody has', () => {
    for (const { key, policy } of asked) {
      const rule = cloud.app.policy.list().find(({ name }) => name === policy)?.rule;
      const open = rule === '@' || /^rule:context_is_admin or user_id:/.test(String(rule));
      for (const name of ['custom', 'unscoped', 'system-reader']) {
        expect(allowed.get(key)!.has(name), `${key} by ${name}`).toBe(open);
      }
    }
  });

  it('is for other services only where services ask each other', () => {
    const extra = asked.filter(
      ({ key }) => allowed.get(key)!.has('service') && !allowed.get(key)!.has('custom'),
    );
    expect([...new Set(extra.map(({ service }) => service.name))].toSorted()).toEqual([
      'network',
      'placement',
    ]);
  });
});

/** Requests of a service that need a token; those of several actions once each. */
function requestsOf(service: Service): Asked[] {
  return service.operations.flatMap((operation) => {
    const { method, path, policy } = operation;
    if (!policy) return [];
    const key = `${service.name} ${method} ${path}`;
    const actions = service.actionPolicies?.filter((one) => one.use.path === path) ?? [];
    // a new incarnation would end the personas' tokens: who may begin one is refused for the body only
    const body = path === '/v1/incarnation' ? { reason: '' } : {};
    const one = { key, policy: policy.name, service, operation, body };
    if (actions.length === 0) return [one];
    return bodiesOf(path).map(([action, name]) => ({
      ...one,
      key: `${key} ${action}`,
      policy: name ?? policy.name,
      body: { [action]: null },
    }));

    function bodiesOf(of: string): [action: string, policy: string | undefined][] {
      if (of.startsWith('/v2.1/flavors/')) {
        return [
          ['addTenantAccess', undefined],
          ['removeTenantAccess', actions[0]?.name],
        ];
      }
      return actions.map(({ name, use }) => [use.summary.split(': ')[1] ?? '', name]);
    }
  });
}

async function send(
  cloud: TestApp,
  { service, operation, body }: Asked,
  persona: Persona,
  personas: readonly Persona[],
): Promise<TestReply> {
  const ours = personas.find(({ name }) => name === 'member')!.projectId;
  const url = operation.path
    .replace(/^\/v3\/:project_id/, `/v3/${persona.projectId || 'none'}`)
    .replace(':project_id', persona.projectId || ours)
    .replace(':target_id', persona.projectId || ours)
    .replace(/:[A-Za-z_]+|\*/g, NOTHING);
  const action = Object.keys(body)[0] ?? '';
  const version = operation.until ?? SERVER_ACTIONS[action]?.until ?? 'latest';
  return await cloud.request(operation.method, service.prefix + url, {
    token: persona.token,
    headers: {
      'openstack-api-version': `${service.name} ${version}`,
      ...(operation.stream && { 'content-type': 'application/octet-stream' }),
    },
    ...(['GET', 'HEAD', 'DELETE'].includes(operation.method) ? {} : { body }),
  });
}

function people(names: ReadonlySet<string>): string {
  return names.size === 0 ? '(nobody)' : [...names].join(' ');
}
