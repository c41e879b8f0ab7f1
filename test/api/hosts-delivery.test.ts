import { readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectReport } from '../../src/protocol/messages.js';
import { PeerClient } from '../../src/protocol/peer-client.js';
import { listChanges } from '../../src/store/changes.js';
import { addTombstone, listTombstones, updateHost } from '../../src/store/hosts.js';
import { findReports } from '../../src/store/reports.js';
import { recordChange } from '../../src/store/store.js';
import { MemoryPart, TestAgent, TestController, until, writeImage } from '../support/hosts/harness.js';

const server = (name: string) => ({ instance_name: name, disks: [], nics: [] });

describe('delivery', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;
  let agent: TestAgent;
  let hostId: string;
  let network: MemoryPart;
  let storage: MemoryPart;
  let compute: MemoryPart;

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
    agent = await TestAgent.create('host1', cleanups);
    hostId = (await agent.join(await controller.token())).host_id;
    network = new MemoryPart('network', ['network', 'port']);
    storage = new MemoryPart('storage', ['volume']);
    compute = new MemoryPart('compute', ['server']);
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const parts = () => ({ network, storage, compute });
  const heldSpec = async () => JSON.parse(await readFile(`${agent.config.state_dir}/spec.json`, 'utf8')).spec;
  const isUp = () => until('the host is up', () => controller.hosts.isUp(hostId));
  const reportOf = async (key: ObjectReport['key']) =>
    (await findReports(controller.store.read, hostId, [key]))[0];

  it('carries a changed row to the host and its report back, and deletes the row', async () => {
    // neither waits for a heartbeat: there is only the first
    Object.assign(agent.config, { heartbeat_interval: 3600 });
    await agent.start(parts());
    // else what it gets at first may have the port already, though nothing is recorded of it yet
    await until('it has its first spec', async () => (await heldSpec().catch(() => null)) !== null);
    await controller.objects.set(hostId, 'port', 'p1', {}, 'req-1');
    await until('reported', async () => (await reportOf('port/p1'))?.state === 'applied');
    expect(network.present.has('port/p1')).toBe(true);
    expect(agent.lines.join()).toContain('"request_ids":["req-1"]');
    await until(
      'change rows deleted',
      async () => (await listChanges(controller.store.read, 10)).length === 0,
    );
  });

  it('removes plumbing by absence, and finds the host by what it last had', async () => {
    await agent.start(parts());
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', async () => (await reportOf('port/p1'))?.state === 'applied');
    await controller.objects.remove('port', 'p1');
    await until('gone', async () => (await reportOf('port/p1')) === undefined);
    expect(network.present.has('port/p1')).toBe(false);
  });

  it('destroys a guest only by its tombstone, and tells core when it is gone', async () => {
    const gone: string[] = [];
    controller.hosts.onGone(async (_tx, host, key) => void gone.push(`${host} ${key}`));
    await agent.start(parts());
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await controller.objects.set(hostId, 'server', 's2', server('two'));
    await until('applied', () => compute.present.size === 2);
    await controller.objects.remove('server', 's1');
    const body = { id: 's1', ...server('one') };
    await controller.store.tx((tx) => addTombstone(tx, hostId, 'server', 's1', body as never, null));
    await until('destroyed', () => !compute.present.has('server/s1'));
    // listeners hear of it in the transaction that takes the tombstone away
    await until('told', async () => (await listTombstones(controller.store.read, hostId)).length === 0);
    expect(gone).toEqual([`${hostId} server/s1`]);
    await until('forgotten', async () => !('server/s1' in (await heldSpec())));
    expect(compute.present.has('server/s2')).toBe(true);
  });

  it('tries failed objects again, alone, and reports when they come right', async () => {
    compute.failing.set('server/s1', 'no such disk');
    await agent.start(parts());
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await controller.objects.set(hostId, 'server', 's2', server('two'));
    await until('failed', async () => (await reportOf('server/s1'))?.state === 'error');
    expect((await reportOf('server/s1'))?.error).toEqual({ message: 'no such disk' });
    await until('the other', async () => (await reportOf('server/s2'))?.state === 'applied');
    compute.failing.clear();
    await until('applied', async () => (await reportOf('server/s1'))?.state === 'applied');
  });

  it('does not let a slow server hold up a port or another server', async () => {
    let open: () => void = () => {};
    const slow = new Promise<void>((resolve) => {
      open = resolve;
    });
    compute.gate = (key) => (key === 'server/slow' ? slow : Promise.resolve());
    await agent.start(parts());
    await controller.objects.set(hostId, 'server', 'slow', server('slow'));
    await until('begun', () => compute.calls.some((call) => call?.includes('server/slow')));
    await controller.objects.set(hostId, 'port', 'p1', {});
    await controller.objects.set(hostId, 'server', 'quick', server('quick'));
    await until('port applied', async () => (await reportOf('port/p1'))?.state === 'applied');
    await until('server applied', async () => (await reportOf('server/quick'))?.state === 'applied');
    expect(compute.present.has('server/slow')).toBe(false);
    open();
    await until('slow applied', async () => (await reportOf('server/slow'))?.state === 'applied');
  });

  it('starts a server only after its push’s network objects', async () => {
    const order: string[] = [];
    network.gate = async (key) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      order.push(key);
    };
    compute.gate = async (key) => void order.push(key);
    await agent.start(parts());
    controller.objects.setSilently(hostId, 'port', 'p1', {});
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await until('applied', () => compute.present.has('server/s1'));
    expect(order).toEqual(['port/p1', 'server/s1']);
  });

  it('brings the host back from the spec on disk while the controller is away', async () => {
    await agent.start(parts());
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', () => compute.present.size === 1 && network.present.size === 1);
    await agent.stop();
    await controller.hosts.close();
    compute.present.clear();
    network.present.clear();
    await agent.start(parts());
    await until('back', () => compute.present.has('server/s1') && network.present.has('port/p1'));
  });

  it('converges after the controller and the agent were restarted, whatever was in flight', async () => {
    await agent.start(parts());
    await isUp();
    await agent.stop();
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await controller.restart();
    await controller.objects.set(hostId, 'server', 's2', server('two'));
    await agent.start(parts());
    await until(
      'both',
      async () => (await reportOf('server/s1')) !== undefined && (await reportOf('server/s2')) !== undefined,
    );
    // and a spec that changed while only the controller was away
    await controller.hosts.close();
    controller.objects.setSilently(hostId, 'server', 's3', server('three'));
    await controller.restart();
    await until('the third', async () => (await reportOf('server/s3'))?.state === 'applied');
  });

  it('heals a lost push by the heartbeat', async () => {
    await agent.start(parts());
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', async () => (await reportOf('port/p1'))?.state === 'applied');
    await agent.stop();
    await rm(`${agent.config.state_dir}/spec.json`);
    network.present.clear();
    await agent.start(parts());
    await until('applied again', () => network.present.has('port/p1'));
  });

  it('writes nothing for an idle heartbeat', async () => {
    await agent.start(parts());
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', async () => (await reportOf('port/p1'))?.state === 'applied');
    await until('changes deleted', async () => (await listChanges(controller.store.read, 1)).length === 0);
    // whatever came before may still have to be written, however slowly
    const quiet = async () => {
      const { commits } = controller.store;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const silence = controller.hosts.silence(hostId) ?? Number.POSITIVE_INFINITY;
      return silence < 1_000 && controller.store.commits === commits;
    };
    await until('many heartbeats and nothing is written', quiet);
  });

  it('keeps what a host has of a kind that cannot be worked out, and delivers the others', async () => {
    await agent.start(parts());
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', () => network.present.has('port/p1'));
    controller.objects.broken.add('port');
    await controller.store.tx(async (tx) => {
      controller.objects.setSilently(hostId, 'port', 'p2', {});
      controller.objects.setSilently(hostId, 'server', 's1', server('one'));
      await recordChange(tx, 'port', 'p2');
      await recordChange(tx, 'server', 's1');
    });
    await until('applied', () => compute.present.has('server/s1'));
    expect(network.present.has('port/p1')).toBe(true);
    // the agent may be done before the controller has its answer
    await until('said', () => /broken/.test(controller.hosts.deliveryFault(hostId) ?? ''));
    controller.objects.broken.clear();
    await until('recovered', () => controller.hosts.deliveryFault(hostId) === null);
  });

  it('is not held up by a host that is away', async () => {
    const dead = await TestAgent.create('host2', cleanups);
    const deadId = (await dead.join(await controller.token())).host_id;
    // it accepts connections, and says nothing
    const open = new Set<Socket>();
    const deaf = createServer((socket) => {
      open.add(socket);
      socket.on('error', () => {}).on('close', () => open.delete(socket));
    });
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    cleanups.push(async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => deaf.close(resolve));
    });
    const agent_url = `https://127.0.0.1:${(deaf.address() as AddressInfo).port}`;
    await controller.store.tx((tx) => updateHost(tx, deadId, { agent_url }));
    await agent.start(parts());
    await isUp();
    await controller.objects.set(deadId, 'port', 'p2', {});
    await until('on its way', () => open.size > 0);
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', () => network.present.has('port/p1'));
    expect(open.size).toBe(1);
    expect(controller.hosts.isUp(deadId)).toBe(false);
    expect(controller.hosts.isDown(deadId)).toBe(false);
  });

  it('refuses to destroy most guests at once until that is confirmed', async () => {
    await agent.start(parts());
    const ids = Array.from({ length: 12 }, (_, n) => `s${n}`);
    for (const id of ids) controller.objects.setSilently(hostId, 'server', id, server(id));
    await controller.objects.set(hostId, 'port', 'p1', {});
    await until('applied', () => compute.present.size === 12);
    await controller.store.tx(async (tx) => {
      for (const id of ids)
        await addTombstone(tx, hostId, 'server', id, { id, ...server(id) } as never, null);
    });
    await until('refused', () => /max_removal_share/.test(controller.hosts.deliveryFault(hostId) ?? ''));
    expect(compute.present.size).toBe(12);
    for (const id of ids) await controller.objects.remove('server', id);
    controller.hosts.confirmRemoval(hostId);
    await until('destroyed', () => compute.present.size === 0);
  });

  it('shows what apply would do', async () => {
    compute.failing.set('server/s1', 'no');
    await agent.start(parts());
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await until('failed', async () => (await reportOf('server/s1'))?.state === 'error');
    expect(await controller.hosts.plan(hostId)).toEqual({
      host: 'host1',
      steps: [{ object: 'server/s1', action: 'make', detail: 'compute' }],
    });
    compute.failing.clear();
    await until('empty', async () => (await controller.hosts.plan(hostId)).steps.length === 0);
  });

  it('gives a host only the images that its own spec names', async () => {
    await writeImage(controller.imageFile('i1'), 'image one');
    await writeImage(controller.imageFile('i2'), 'image two');
    const other = await (await TestAgent.create('host2', cleanups)).join(await controller.token());
    await controller.objects.set(hostId, 'volume', 'v1', { image: { id: 'i1' } });
    await controller.objects.set(other.host_id, 'volume', 'v2', { image: { id: 'i2' } });
    const { identity } = agent;
    const client = new PeerClient(controller.url, 'controller', {
      ca: identity.ca,
      key: identity.key,
      cert: identity.certificate,
    });
    const own = await client.stream('/agent/v1/images/i1');
    expect(own.statusCode).toBe(200);
    expect(own.headers['content-length']).toBe('9');
    let text = '';
    for await (const chunk of own) text += chunk;
    expect(text).toBe('image one');
    for (const id of ['i2', 'i3', '..%2Fca.key']) {
      expect((await client.request('GET', `/agent/v1/images/${id}`)).status).toBe(404);
    }
    client.close();
  });

  it('tells every listener about what changed, once', async () => {
    const seen: string[] = [];
    controller.hosts.onReport(async (_tx, host, reports) => {
      for (const report of reports) seen.push(`${host === hostId} ${report.key} ${report.state}`);
    });
    await agent.start(parts());
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await until('told', () => seen.length > 0);
    await agent.stop();
    await agent.start(parts());
    await isUp();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(seen).toEqual(['true server/s1 applied']);
  });
});
