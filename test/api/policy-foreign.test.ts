import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allServices } from '../../src/api/services.js';
import type { Operation } from '../../src/api/shared/operation.js';
import type { Service } from '../../src/api/shared/service.js';
import type { App } from '../../src/core/app.js';
import { TestApp, type TestReply, type TestUser } from '../support/app.js';
import { makeServerRow } from '../support/server-row.js';

/** What belongs to one project, by the part of the path that names it. */
type Things = Readonly<Record<string, string>>;

/** Every volume path begins with the project of whoever asks. */
const OWN = '/v3/:project_id';
const SERVICES = ['compute', 'network', 'image', 'volume'];

/** What is no project's. */
const NOBODYS =
  /flavors|os-aggregates|os-hypervisors|os-services|types|extensions|agents|os-keypairs|class-sets|availabilities/;

describe('things of a project', () => {
  let cloud: TestApp;
  let services: readonly Service[];
  let owner: TestUser;
  let reader: TestUser;
  let stranger: TestUser;
  let things: Things;

  beforeAll(async () => {
    const mounted = (name: string) => (app: App) => allServices(app).find((s) => s.name === name)!;
    cloud = await TestApp.open({ services: SERVICES.map(mounted) });
    services = allServices(cloud.app).filter(({ name }) => SERVICES.includes(name));
    owner = await cloud.projectUser('ours', 'manager');
    reader = await cloud.projectUser('ours', 'reader');
    stranger = await cloud.projectUser('theirs', 'manager');
    things = await makeThings(cloud, owner);
  });
  afterAll(() => cloud.close());

  it('are not there for a manager of another project', async () => {
    const reached: string[] = [];
    let requests = 0;
    for (const [service, operation, path] of aboutThings(services, things)) {
      for (const body of bodies(operation, things)) {
        const reply = await send(cloud, service, operation, path, stranger, body);
        requests++;
        if ([403, 404].includes(reply.status)) continue;
        reached.push(
          `${operation.method} ${path} ${JSON.stringify(body)}: ${reply.status} ${reply.text.slice(0, 200)}`,
        );
      }
    }
    expect(reached).toEqual([]);
    expect(requests).toBeGreaterThan(100);
  });

  it('are in no list of another project', async () => {
    for (const service of services) {
      for (const operation of service.operations) {
        if (operation.method !== 'GET' || !operation.policy) continue;
        const path = operation.path.replace(OWN, `/v3/${stranger.projectId}`);
        if (path.includes(':') || path.includes('*')) continue;
        for (const query of ['', '?all_tenants=1', '?all_projects=1', `?project_id=${owner.projectId}`]) {
          const reply = await send(cloud, service, operation, path + query, stranger, undefined);
          // links have the query as it was sent
          const made = Object.entries(things).filter(([, id]) => id !== owner.projectId);
          for (const [what, id] of made) {
            expect(reply.text.includes(id), `${what} in ${operation.method} ${path}${query}`).toBe(false);
          }
        }
      }
    }
  });

  it('are read and not changed by its reader', async () => {
    let read = 0;
    for (const [service, operation, path] of aboutThings(services, things)) {
      for (const body of bodies(operation, things)) {
        const reply = await send(cloud, service, operation, path, reader, body);
        const what = `${operation.method} ${path} ${JSON.stringify(body)}: ${reply.text.slice(0, 200)}`;
        if (operation.method !== 'GET') expect(reply.status, what).toBe(403);
        else if (reply.status === 200) read++;
      }
    }
    expect(read).toBeGreaterThan(25);
  });
});

async function makeThings(cloud: TestApp, owner: TestUser): Promise<Things> {
  const { token } = owner;
  const post = async (path: string, body: Record<string, unknown>, by = token) => {
    const reply = await cloud.request('POST', path, { token: by, body });
    if (reply.status > 299) throw new Error(`${path}: ${reply.status} ${reply.text}`);
    return reply.json;
  };
  const net = async (kind: string, name: string, values: Record<string, unknown>, by = token) =>
    (await post(`/network/v2.0/${kind}`, { [name]: values }, by))[name].id as string;
  const admin = await cloud.adminToken();
  const outside = await net('networks', 'network', { name: 'outside', 'router:external': true }, admin);
  await net('subnets', 'subnet', { network_id: outside, ip_version: 4, cidr: '203.0.113.0/24' }, admin);
  const network = await net('networks', 'network', { name: 'inside' });
  const group = await net('security-groups', 'security_group', { name: 'group' });
  const subnet = await net('subnets', 'subnet', { network_id: network, ip_version: 4, cidr: '10.9.0.0/24' });
  const rule = { security_group_id: group, direction: 'ingress', protocol: 'tcp' };
  const volume = await post(`/volume/v3/${owner.projectId}/volumes`, { volume: { size: 1, name: 'v' } });
  const image = await post('/image/v2/images', { name: 'i', disk_format: 'raw', container_format: 'bare' });
  const servers = await post('/compute/v2.1/os-server-groups', {
    server_group: { name: 'g', policies: ['affinity'] },
  });
  const [ruleId, floatingIp] = [
    await net('security-group-rules', 'security_group_rule', rule),
    await net('floatingips', 'floatingip', { floating_network_id: outside }),
  ];
  return {
    networks: network,
    subnets: subnet,
    ports: await net('ports', 'port', { network_id: network }),
    routers: await net('routers', 'router', { name: 'r' }),
    floatingips: floatingIp,
    'security-groups': group,
    'security-group-rules': ruleId,
    'os-security-groups': group,
    'os-security-group-rules': ruleId,
    'os-floating-ips': floatingIp,
    'os-server-groups': servers.server_group.id,
    'os-tenant-networks': network,
    'os-networks': network,
    servers: await makeServerRow(cloud.app, owner),
    images: image.id,
    volumes: volume.volume.id,
    'os-quota-sets': owner.projectId,
    'os-simple-tenant-usage': owner.projectId,
    quotas: owner.projectId,
  };
}

/** Operations whose path has a thing in it, with the path for the thing made. */
function aboutThings(services: readonly Service[], things: Things): [Service, Operation, string][] {
  return services.flatMap((service) =>
    service.operations.flatMap((operation): [Service, Operation, string][] => {
      const start = operation.path.startsWith(OWN) ? OWN : '';
      const below = operation.path.slice(start.length);
      const [, kind = ''] = /\/([a-z-]+)\/:/.exec(below) ?? [];
      const id = things[kind];
      if (!operation.policy || operation.policy.rule === '@' || !below.includes(':') || NOBODYS.test(below)) {
        const byBody = operation.path.endsWith('/servers/:server_id/action');
        if (!byBody) return [];
      }
      if (!id)
        throw new Error(`${service.name} ${operation.method} ${operation.path}: no such thing was made`);
      return [[service, operation, start + below.replace(/(\/[a-z-]+)\/:[A-Za-z_]+/, `$1/${id}`)]];
    }),
  );
}

/** Bodies that are in order, so that only whose thing it is stands in the way. */
function bodies({ method, path }: Operation, things: Things): unknown[] {
  if (['GET', 'HEAD', 'DELETE'].includes(method)) return [undefined];
  if (path.endsWith('/servers/:server_id/action')) {
    return [
      ...['os-start', 'os-stop', 'lock', 'unlock'].map((action) => ({ [action]: null })),
      { reboot: { type: 'SOFT' } },
      { 'os-getConsoleOutput': {} },
      { 'os-resetState': { state: 'active' } },
      { addSecurityGroup: { name: 'default' } },
      { removeSecurityGroup: { name: 'default' } },
    ];
  }
  const [, kind = ''] = /\/v2\.0\/([a-z-]+)\/:/.exec(path) ?? [];
  if (/tags$/.test(path)) return [{ tags: ['a'] }];
  if (/_router_interface$/.test(path)) return [{ subnet_id: things.subnets }];
  if (/_extraroutes$/.test(path)) return [{ router: { routes: [] } }];
  if (kind === 'quotas') return [{ quota: { network: 1 } }];
  if (kind !== '') return [{ [kind.replace(/s$/, '').replaceAll('-', '_')]: { name: 'x' } }];
  if (/os-quota-sets/.test(path)) return [{ quota_set: { instances: 1 } }];
  if (/metadata$/.test(path)) return [{ metadata: { a: 'b' } }];
  if (/metadata\/:key$/.test(path)) return [{ meta: { ':key': 'b' } }];
  if (/os-security-groups/.test(path)) return [{ security_group: { name: 'x', description: 'x' } }];
  if (/members$/.test(path)) return [{ member: 'somebody' }];
  if (/members\/:/.test(path)) return [{ status: 'accepted' }];
  if (path === '/v2/images/:image_id') return [[{ op: 'replace', path: '/name', value: 'x' }]];
  if (/\/servers\/:server_id$/.test(path)) return [{ server: { name: 'x' } }];
  if (/\/volumes\/:volume_id$/.test(path)) return [{ volume: { name: 'x' } }];
  return [{}];
}

async function send(
  cloud: TestApp,
  service: Service,
  operation: Operation,
  path: string,
  { token, projectId }: TestUser,
  body: unknown,
): Promise<TestReply> {
  const type = operation.stream
    ? 'application/octet-stream'
    : operation.method === 'PATCH'
      ? 'application/openstack-images-v2.1-json-patch'
      : 'application/json';
  const own = path.replace(OWN, `/v3/${projectId}`);
  return await cloud.request(operation.method, service.prefix + own, {
    token,
    headers: {
      'openstack-api-version': `${service.name} ${operation.until ?? 'latest'}`,
      ...(body !== undefined && { 'content-type': type }),
    },
    ...(body !== undefined && { body: operation.stream ? 'bytes' : JSON.stringify(body) }),
  });
}
