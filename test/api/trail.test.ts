import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import type { Trail } from '../../src/core/trail/trail.js';
import { TestApp } from '../support/app.js';
import { FaultCloud } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';

/** The whole way over simulated hosts: what is found out about a thing afterwards. */
describe('the trail of what happened', () => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let serverId: string;
  let host: string;

  const trail = async (object: string, more = ''): Promise<Trail> =>
    (await cloud.call<{ trail: Trail }>('GET', `/maru/v1/trail?object=${encodeURIComponent(object)}${more}`))
      .trail;
  const words = ({ entries }: Trail) => entries.map(({ what, detail }) => `${what}: ${detail}`);
  const status = async () =>
    (await cloud.request<{ server?: { status: string } }>('GET', `/compute/v2.1/servers/${serverId}`)).body
      .server?.status ?? 'gone';
  const becomes = (wanted: string) =>
    cloud.waitFor(`the server ${wanted}`, async () => {
      const now = await status();
      return now === wanted ? [] : [now];
    });

  beforeAll(async () => {
    cloud = await FaultCloud.start({ hosts: ['host1', 'host2'], config: { drift: { router: 'report' } } });
    scene = await FaultScene.open(cloud);
    serverId = await scene.server();
    await becomes('ACTIVE');
  });
  afterAll(() => cloud?.close());

  it('of a server says who asked, where it went and why, what its task did, and what its host said', async () => {
    const found = await trail(`server/${serverId}`);
    const [first] = found.entries;
    expect(first).toMatchObject({
      what: 'action',
      detail: 'create',
      request_id: expect.stringMatching(/^req-/),
      user_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      after: null,
    });
    expect(found.object).toBe(`server/${serverId}`);
    const placed = found.entries.find(({ what }) => what === 'placed')!;
    expect(placed.detail).toMatch(/^on host\d, weight .* of 2 host\(s\) that fit; host\d: weight/);
    host = placed.host!;
    expect(words(found)).toEqual(
      expect.arrayContaining([
        'task: server.build: place → spawn',
        expect.stringMatching(/^task: server.build: spawn waits for host\d to start the guest/),
        expect.stringMatching(/^report: applied \S+, running$/),
        expect.stringMatching(/^status: BUILD → ACTIVE, task spawning → none, power none → running/),
        'ended: done',
      ]),
    );
    const ended = found.entries.find(({ what }) => what === 'ended')!;
    expect(ended.request_id).toBe(first!.request_id);
    expect(ended.took).toBeGreaterThan(0);
    const times = found.entries.map(({ at }) => at);
    expect(times).toEqual([...times].sort());
  });

  it('of its port says by which request it was made, and when its host had it', async () => {
    const { ports } = await cloud.call<{ ports: { id: string }[] }>(
      'GET',
      `/network/v2.0/ports?device_id=${serverId}`,
    );
    const found = await trail(`port/${ports[0]!.id}`);
    const create = (await trail(`server/${serverId}`)).entries[0]!.request_id;
    expect(found.entries[0]).toMatchObject({ what: 'action', request_id: create });
    expect(found.entries.find(({ what }) => what === 'report')).toMatchObject({
      host,
      detail: expect.stringMatching(/^applied /),
    });
  });

  it('of a router has what was asked of it, and by whom', async () => {
    const object = `router/${scene.routerId}`;
    await cloud.call('PUT', `/network/v2.0/routers/${scene.routerId}`, { router: { admin_state_up: false } });
    await cloud.call('PUT', `/network/v2.0/routers/${scene.routerId}`, { router: { admin_state_up: true } });
    const { entries } = await trail(object);
    const actions = entries.filter(({ what }) => what === 'action');
    expect(actions.length).toBeGreaterThanOrEqual(4);
    expect(new Set(actions.map(({ request_id }) => request_id)).size).toBe(actions.length);
    for (const { user_id, project_id } of actions) expect([user_id, project_id]).not.toContain(null);
    await cloud.waitFor('what its host says of it', async () =>
      (await trail(object)).entries.some(({ what }) => what === 'report') ? [] : ['nothing yet'],
    );
  });

  it('of a server that cannot be placed has what every host had against it', async () => {
    const { flavor } = await cloud.call<{ flavor: { id: string } }>('POST', '/compute/v2.1/flavors', {
      flavor: { name: 'huge', ram: 64, vcpus: 1, disk: 1_000_000 },
    });
    const large = await scene.server({ flavorRef: flavor.id });
    await cloud.waitFor('its refusal', async () => {
      const { entries } = await trail(`server/${large}`);
      return entries.some(({ what }) => what === 'ended') ? [] : ['not yet'];
    });
    const found = words(await trail(`server/${large}`));
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^placed: nowhere: none of 2 host\(s\) fits; host1: .*; host2: /),
        expect.stringMatching(/^ended: failed: No valid host was found/),
        expect.stringMatching(/^status: BUILD → ERROR, .*fault: No valid host/),
      ]),
    );
  });

  it('of a deleted server is still there, by its id, to the end', async () => {
    await cloud.call('POST', `/compute/v2.1/servers/${serverId}/action`, { 'os-stop': null });
    await becomes('SHUTOFF');
    await cloud.call('DELETE', `/compute/v2.1/servers/${serverId}`);
    await becomes('gone');
    await cloud.waitFor('the end of it', async () => {
      const all = words(await trail(`server/${serverId}`));
      return all.some((one) => one.startsWith('report: gone')) ? [] : all.slice(-2);
    });
    const found = await trail(`server/${serverId}`);
    const actions = found.entries.filter(({ what }) => what === 'action').map(({ detail }) => detail);
    expect(actions).toEqual(['create', 'stop', 'delete']);
    expect(new Set(found.entries.filter(({ what }) => what === 'action').map((e) => e.request_id)).size).toBe(
      3,
    );
    expect(words(found)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^task: server.delete: bury → await/),
        expect.stringMatching(/^status: .*→ DELETED/),
      ]),
    );
    // what was begun by one request has no entry of another
    const byStop = found.entries.filter(
      ({ request_id }) => request_id === found.entries.find(({ detail }) => detail === 'stop')!.request_id,
    );
    expect(byStop.map(({ what }) => what)).toEqual(expect.arrayContaining(['action', 'task', 'ended']));
    const latest = await trail(`server/${serverId}`, '&limit=2');
    expect(latest.more).toBe(true);
    const earlier = await trail(`server/${serverId}`, `&limit=2&before=${latest.entries[0]!.number}`);
    // whatever came since the whole was read
    const numbers = (await trail(`server/${serverId}`)).entries.map(({ number }) => number);
    const to = numbers.indexOf(latest.entries.at(-1)!.number) + 1;
    expect(to).toBeGreaterThanOrEqual(found.entries.length);
    expect(latest.entries.map(({ number }) => number)).toEqual(numbers.slice(to - 2, to));
    expect(earlier.entries.map(({ number }) => number)).toEqual(numbers.slice(to - 4, to - 2));
  });

  it('is not there for what never was, and refuses what makes no sense', async () => {
    const code = async (query: string) => (await cloud.request('GET', `/maru/v1/trail${query}`)).status;
    expect(await code('?object=server/nobody')).toBe(404);
    expect(await code('?object=planet/mars')).toBe(400);
    // what hosts have no part in is in the audit
    const refused = await cloud.request('GET', '/maru/v1/trail?object=flavor/m1.tiny');
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body)).toContain('maru audit list --target m1.tiny');
    expect(await code('?object=server')).toBe(400);
    expect(await code('?object=server/x&limit=0')).toBe(400);
    expect(await code('')).toBe(400);
  });
});

describe('what is known of hosts and of what happened', () => {
  it('is for administrators only', async () => {
    const cloud = await TestApp.open({ services: [adminService] });
    try {
      const { token } = await cloud.projectUser('demo');
      for (const path of ['trail?object=server/x', 'trace?target=x', 'networks/x']) {
        expect((await cloud.request('GET', `/maru/v1/${path}`, { token })).status, path).toBe(403);
        expect((await cloud.request('GET', `/maru/v1/${path}`, {})).status, path).toBe(401);
      }
    } finally {
      await cloud.close();
    }
  });
});
