import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FaultCloud, pause } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';
import { expectSound } from '../support/hosts/invariants.js';
import { Sampler } from '../support/hosts/sampler.js';

/** A host loses its power in the middle of things and comes back: what is on its disks is there, what was in its memory is not. */
describe('a host switched off and on', { timeout: 600_000 }, () => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let sampler: Sampler;

  beforeAll(async () => {
    cloud = await FaultCloud.start({ hosts: ['host1', 'host2'] });
    scene = await FaultScene.open(cloud);
    sampler = new Sampler(cloud);
  });
  afterEach(() => expect([...sampler.found]).toEqual([]));
  afterAll(async () => {
    sampler?.stop();
    await cloud?.close();
  });

  const status = async (id: string) => {
    const reply = await cloud.request<{ server: { status: string } }>('GET', `/compute/v2.1/servers/${id}`);
    return reply.status === 200 ? reply.body.server.status : String(reply.status);
  };
  const hostOf = (id: string) =>
    cloud.hosts.find((name) => cloud.machines.get(name)?.domains.get(id)?.running) ?? '';
  const becomes = (id: string, wanted: string) =>
    cloud.waitFor(`server ${id} ${wanted}`, async () => {
      const now = await status(id);
      return now === wanted ? [] : [`it is ${now}`];
    });

  it.each([0, 30, 80, 150, 300])('while servers are made, after %i ms: each comes up once', async (wait) => {
    const made = [await scene.server(), await scene.server()];
    await pause(wait);
    for (const name of cloud.hosts) await cloud.powerOff(name);
    for (const name of cloud.hosts) await cloud.startAgent(name);
    await expectSound(cloud, `power was off ${wait} ms into the builds`);
    for (const id of made) expect(await status(id)).toBe('ACTIVE');
    for (const id of made) await scene.tenant.delete('server', id);
    await pause(wait / 2);
    for (const name of cloud.hosts) await cloud.powerOff(name);
    for (const name of cloud.hosts) await cloud.startAgent(name);
    await expectSound(cloud, `power was off ${wait / 2} ms into the deletions`);
    expect(await scene.tenant.lost()).toEqual([]);
  });

  it('deletes a server on a host that is off once it counts as down; its address is not given out before it is back', async () => {
    const fixed = { networks: [{ uuid: scene.networkId, fixed_ip: '10.0.0.99' }] };
    const id = await scene.server(fixed);
    await expectSound(cloud, 'made');
    const name = hostOf(id);
    await cloud.powerOff(name);
    await scene.tenant.delete('server', id);
    // only now: on a slow machine hosts that are up are silent for as long
    await cloud.countDownAfter(2);
    await becomes(id, '404');
    await cloud.countDownAfter(30);
    const body = {
      server: { name: 'same', imageRef: scene.imageId, flavorRef: scene.flavorId, ...fixed },
    };
    const reply = await cloud.request('POST', '/compute/v2.1/servers', body);
    expect([400, 409]).toContain(reply.status);
    // the disks are still there
    expect(cloud.machines.get(name)?.domains.has(id)).toBe(true);
    await cloud.startAgent(name);
    await expectSound(cloud, 'back');
    expect(cloud.machines.get(name)?.domains.has(id)).toBe(false);
    const again = await scene.server(fixed);
    await expectSound(cloud, 'made again');
    expect(await status(again)).toBe('ACTIVE');
    await scene.tenant.delete('server', again);
    await expectSound(cloud, 'deleted');
    expect(await scene.tenant.lost()).toEqual([]);
  });

  it('brings its guests back without a controller, those that ran and no others', async () => {
    const [running, stopped] = [await scene.server(), await scene.server()];
    await expectSound(cloud, 'made');
    await scene.tenant.act(stopped, { 'os-stop': null });
    await expectSound(cloud, 'stopped');
    const name = hostOf(running);
    await cloud.stopController();
    await cloud.powerOff(name);
    await cloud.startAgent(name);
    await cloud.waitFor('the guest', async () => (hostOf(running) === name ? [] : ['it is off']));
    expect(hostOf(stopped)).toBe('');
    await cloud.startController();
    await expectSound(cloud, 'the controller is back');
    expect([await status(running), await status(stopped)]).toEqual(['ACTIVE', 'SHUTOFF']);
    for (const id of [running, stopped]) await scene.tenant.delete('server', id);
    await expectSound(cloud, 'deleted');
  });
});
