import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultCloud, type FaultReply } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';
import { expectSound } from '../support/hosts/invariants.js';
import { Sampler } from '../support/hosts/sampler.js';
import { DIALECTS } from '../support/stores.js';

const SERVERS = '/compute/v2.1/servers';
const MIB_PER_GUEST = 512;
const ROOM = 4;

interface Made {
  readonly server?: { readonly id: string };
}

/** Things that are asked for at the same moment: one answer each, and a cloud that is sound afterwards. */
describe.each(DIALECTS)('at once, on %s', { timeout: 600_000 }, (dialect) => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let sampler: Sampler;

  beforeAll(async () => {
    const config = { reserved_host_memory_mb: 512 };
    const machine = { memoryMb: 512 + ROOM * MIB_PER_GUEST };
    cloud = await FaultCloud.start({ hosts: ['host1'], dialect, config, machine });
    scene = await FaultScene.open(cloud);
    sampler = new Sampler(cloud);
  });
  afterAll(async () => {
    sampler?.stop();
    await cloud?.close();
  });

  const statuses = (replies: readonly FaultReply[]) => replies.map(({ status }) => status).sort();
  const times = <T>(n: number, ask: (n: number) => Promise<T>) =>
    Promise.all(Array.from({ length: n }, (_, i) => ask(i)));
  const create = (more: object = {}) =>
    cloud.request<Made>('POST', SERVERS, {
      server: {
        name: scene.tenant.name('server'),
        imageRef: scene.imageId,
        flavorRef: scene.flavorId,
        networks: [{ uuid: scene.networkId }],
        ...more,
      },
    });
  const ids = (replies: readonly FaultReply<Made>[]) =>
    replies.flatMap(({ body, status }) => (status === 202 && body.server ? [body.server.id] : []));
  const status = async (id: string) => {
    const reply = await cloud.request<{ server: { status: string } }>('GET', `${SERVERS}/${id}`);
    return reply.status === 200 ? reply.body.server.status : String(reply.status);
  };
  const clear = async (servers: readonly string[]) => {
    for (const id of servers) await scene.tenant.delete('server', id);
    await expectSound(cloud, 'servers deleted');
    for (const id of servers) expect(await status(id)).toBe('404');
    expect([...sampler.found]).toEqual([]);
  };

  it('two deletes', async () => {
    const id = await scene.server();
    await expectSound(cloud, 'created');
    const answers = statuses(await times(4, () => cloud.request('DELETE', `${SERVERS}/${id}`)));
    expect(answers).toContain(204);
    expect(answers.filter((one) => one !== 204 && one !== 404)).toEqual([]);
    await clear([id]);
  });

  it('delete at any moment of a build', async () => {
    const made: string[] = [];
    for (const wait of [0, 5, 15, 40, 80, 150]) {
      const [id = ''] = ids([await create()]);
      made.push(id);
      await new Promise((resolve) => setTimeout(resolve, wait));
      expect((await cloud.request('DELETE', `${SERVERS}/${id}`)).status).toBe(204);
    }
    await clear(made);
  });

  it('delete during a reboot and a stop', async () => {
    const made = [await scene.server(), await scene.server()];
    await expectSound(cloud, 'created');
    const [rebooting = '', stopping = ''] = made;
    await times(2, async (n) => {
      if (n === 0) await scene.tenant.act(rebooting, { reboot: { type: 'HARD' } });
      else await scene.tenant.act(stopping, { 'os-stop': null });
    });
    const gone = await times(2, (n) => cloud.request('DELETE', `${SERVERS}/${made[n]}`));
    expect(statuses(gone)).toEqual([204, 204]);
    await clear(made);
  });

  it('two servers on one port, and two on one address: one of each', async () => {
    const port = await scene.tenant.create('port', { network_id: scene.networkId });
    const onPort = await times(3, () => create({ networks: [{ port }] }));
    expect(ids(onPort)).toHaveLength(1);
    const fixed = { networks: [{ uuid: scene.networkId, fixed_ip: '10.0.0.77' }] };
    const onAddress = await times(3, () => create(fixed));
    expect(ids(onAddress)).toHaveLength(1);
    for (const refused of [...onPort, ...onAddress].filter((reply) => reply.status !== 202)) {
      expect([400, 409]).toContain(refused.status);
    }
    await expectSound(cloud, 'created');
    await clear([...ids(onPort), ...ids(onAddress)]);
    await scene.tenant.delete('port', port);
    // the address is free again
    const [again = ''] = ids([await create(fixed)]);
    await expectSound(cloud, 'created again');
    expect(await status(again)).toBe('ACTIVE');
    await clear([again]);
  });

  it('one floating IP for two servers, while it is deleted', async () => {
    const servers = [await scene.server(), await scene.server()];
    const floating = await scene.tenant.create('floatingip', { floating_network_id: scene.externalId });
    const ports = await times(2, (n) => scene.tenant.portOf(servers[n] ?? ''));
    const path = `/network/v2.0/floatingips/${floating}`;
    await times(2, (n) => cloud.request('PUT', path, { floatingip: { port_id: ports[n] } }));
    await expectSound(cloud, 'associated');
    const { floatingip } = await cloud.call<{ floatingip: { port_id: string } }>('GET', path);
    expect(ports).toContain(floatingip.port_id);
    const answers = await times(3, (n) =>
      n === 0
        ? cloud.request('DELETE', path)
        : cloud.request('PUT', path, { floatingip: { port_id: ports[n - 1] } }),
    );
    expect(answers[0]?.status).toBe(204);
    scene.tenant.acknowledged.set(`floatingip/${floating}`, false);
    expect(await scene.tenant.lost()).toEqual([]);
    await clear(servers);
  });

  it('ten servers for the last places on a host: as many as fit, the others say why', async () => {
    const made = ids(await times(10, () => create()));
    expect(made).toHaveLength(10);
    await expectSound(cloud, 'placed');
    const found = await times(10, (n) => status(made[n] ?? ''));
    expect(found.filter((one) => one === 'ACTIVE')).toHaveLength(ROOM);
    expect(found.filter((one) => one === 'ERROR')).toHaveLength(10 - ROOM);
    await clear(made);
  });

  it('ten servers for the last places of a quota: as many as allowed, the others refused', async () => {
    const { projects } = await cloud.call<{ projects: { id: string }[] }>(
      'GET',
      '/identity/v3/projects?name=admin',
    );
    const quota = `/compute/v2.1/os-quota-sets/${projects[0]?.id}`;
    await cloud.call('PUT', quota, { quota_set: { instances: 3 } });
    const replies = await times(10, () => create());
    expect(statuses(replies)).toEqual([...Array(3).fill(202), ...Array(7).fill(403)]);
    const { quota_set } = await cloud.call<{ quota_set: { instances: { in_use: number } } }>(
      'GET',
      `${quota}/detail`,
    );
    expect(quota_set.instances.in_use).toBe(3);
    await expectSound(cloud, 'created');
    await clear(ids(replies));
    await cloud.call('DELETE', quota);
  });
});
