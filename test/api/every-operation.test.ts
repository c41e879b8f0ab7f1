import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allServices } from '../../src/api/services.js';
import type { Operation, Schema } from '../../src/api/shared/operation.js';
import type { Service } from '../../src/api/shared/service.js';
import type { App } from '../../src/core/app.js';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

/** What no operation expects: as a whole body, and as the value of each property that its schema names. */
const VALUES: readonly unknown[] = [null, '', 'text', -1, 1e300, true, [], [{}], {}, { id: null, name: [] }];
const IDS = ['x', '5b4c3a2f-1e0d-4c9b-8a7f-6e5d4c3b2a10', '%F0%9F%92%A9'];
const QUERIES = [
  '',
  '?limit=x&marker=zzz',
  '?limit=-1&sort_key=nope&sort_dir=up',
  '?sort=nope:up&fields=&a[b]=c',
  '?limit=1&limit=2&all_tenants=maybe&status=x&changes-since=never&name=',
];
const HEADERS = { 'openstack-api-version': 'compute latest, volume latest, placement latest' };

describe.each(DIALECTS)('every operation of every service on %s', (dialect) => {
  let cloud: TestApp;
  let services: readonly Service[];

  beforeAll(async () => {
    const mounted = (name: string) => (app: App) => allServices(app).find((s) => s.name === name)!;
    const names = ['image', 'compute', 'network', 'volume', 'placement', 'admin'];
    cloud = await TestApp.open({ dialect, services: names.map(mounted) });
    services = allServices(cloud.app);
  });
  afterAll(() => cloud.close());

  it('refuses who has no token, unless it is open to everybody', async () => {
    for (const service of services) {
      for (const operation of service.operations) {
        if (!operation.policy) continue;
        const url = urlOf(service, operation, 'x');
        const reply = await cloud.request(operation.method, url, { headers: HEADERS });
        // microversions in which an operation is gone answer 404 before looking at the token
        expect([401, 404], `${operation.method} ${url}: ${reply.text}`).toContain(reply.status);
      }
    }
  });

  it('answers any input without a fault of its own', async () => {
    const faults: string[] = [];
    for (const service of services) {
      for (const operation of service.operations) {
        const type = operation.stream ? 'application/octet-stream' : 'application/json';
        // one of the operations ends all tokens that there are
        const admin = await cloud.adminToken();
        for (const { url, body } of requestsTo(service, operation)) {
          const reply = await cloud.request(operation.method, url, {
            token: admin,
            headers: { ...HEADERS, 'content-type': type },
            ...(body !== undefined && { body: JSON.stringify(body) }),
          });
          // 503: what a host would have to answer, and no host has joined
          if (reply.status < 500 || reply.status === 503) continue;
          faults.push(`${operation.method} ${url} ${JSON.stringify(body)}: ${reply.status} ${reply.text}`);
        }
      }
    }
    expect(faults).toEqual([]);
  }, 900_000);
});

function requestsTo(service: Service, operation: Operation): { url: string; body?: unknown }[] {
  if (operation.method === 'GET') {
    return IDS.flatMap((id) => QUERIES.map((query) => ({ url: urlOf(service, operation, id) + query })));
  }
  if (operation.method === 'HEAD' || operation.method === 'DELETE') {
    return IDS.map((id) => ({ url: urlOf(service, operation, id) }));
  }
  const schema = newestSchema(operation);
  return VALUES.flatMap((value, i) => {
    const url = urlOf(service, operation, IDS[i % IDS.length]!);
    return [
      { url, body: value },
      { url, body: shape(schema, value) },
    ];
  });
}

function urlOf(service: Service, operation: Operation, id: string): string {
  return service.prefix + operation.path.replace(/:[A-Za-z_]+|\*/g, id);
}

function newestSchema({ body }: Operation): Schema | undefined {
  if (!Array.isArray(body)) return body as Schema | undefined;
  return (body as readonly (readonly [string, Schema])[]).at(-1)?.[1];
}

/** The value in the place of each property: the envelope is right and the content is not. */
function shape(schema: Schema | undefined, value: unknown): unknown {
  const properties = schema?.properties as Record<string, Schema> | undefined;
  if (!properties) return value;
  return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, shape(inner, value)]));
}
