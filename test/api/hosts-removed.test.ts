import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryPart, TestAgent, TestController, until } from '../support/hosts/harness.js';

/** Guests that run until they are ended. */
class Guests extends MemoryPart {
  readonly running = new Set<string>();

  override async apply(request: Parameters<MemoryPart['apply']>[0]): ReturnType<MemoryPart['apply']> {
    const reports = await super.apply(request);
    for (const { key, state } of reports) if (state === 'applied') this.running.add(key);
    return reports;
  }

  async letGo(): Promise<readonly string[]> {
    const ended = [...this.running];
    this.running.clear();
    return ended;
  }
}

describe('the agent of a host that was removed', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;
  let agent: TestAgent;
  let hostId: string;
  let compute: Guests;
  let network: MemoryPart;

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
    agent = await TestAgent.create('host1', cleanups, { full_sync_interval: 0.3 });
    hostId = (await agent.join(await controller.token())).host_id;
    compute = new Guests('compute', ['server']);
    network = new MemoryPart('network', ['network', 'port']);
    controller.objects.setSilently(hostId, 'server', 's1', { instance_name: 'one', disks: [], nics: [] });
    controller.objects.setSilently(hostId, 'port', 'p1', {});
    await agent.start({ compute, network });
    await until('runs', () => compute.running.size === 1 && network.present.size === 1);
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const directory = () => agent.config.state_dir;
  const letGo = () => until('it has let go', () => existsSync(`${directory()}/removed.json`));
  const pause = () => new Promise((resolve) => setTimeout(resolve, 700));

  it('ends its guests, takes its network down, keeps what it needs to explain, and says so', async () => {
    await controller.removeHost(hostId);
    await letGo();
    expect([...compute.running]).toEqual([]);
    expect(network.present.size).toBe(0);
    expect(existsSync(`${directory()}/spec.json`)).toBe(false);
    expect(readFileSync(`${directory()}/spec.json.before-removal`, 'utf8')).toContain('server/s1');
    expect(JSON.parse(readFileSync(`${directory()}/removed.json`, 'utf8'))).toMatchObject({
      ended: ['server/s1'],
      reason: expect.stringContaining("Host 'host1' was removed"),
    });
    expect(agent.lines.join()).toMatch(/was removed from its cloud.*join with a new token/);
    // nothing was destroyed: the guest's object is still known to its part
    expect(compute.present.has('server/s1')).toBe(true);
  });

  it('does so when it comes back, and starts nothing with the next process; what is started by hand is left alone', async () => {
    await agent.stop();
    await controller.removeHost(hostId);
    await agent.start({ compute, network });
    await letGo();
    await agent.stop();
    compute.running.add('server/by-hand');
    await agent.start({ compute, network });
    await pause();
    expect([...compute.running]).toEqual(['server/by-hand']);
  });

  it('goes on as it was while the controller is away, or does not know it', async () => {
    await controller.hosts.close();
    await pause();
    expect(compute.running.size).toBe(1);
    // as with a restored database from before the host joined
    await controller.store.tx(async (tx) => void (await tx.deleteFrom('host').execute()));
    await controller.restart();
    await until('refused', () => agent.lines.join().includes("No host is named 'host1'"));
    expect(compute.running.size).toBe(1);
    expect(existsSync(`${directory()}/removed.json`)).toBe(false);
  });

  it('begins with nothing when it joins again', async () => {
    await controller.removeHost(hostId);
    await letGo();
    await agent.stop();
    const { host_id } = await agent.join(await controller.token());
    expect(host_id).not.toBe(hostId);
    expect(existsSync(`${directory()}/removed.json`)).toBe(false);
    await agent.start({ compute, network });
    await until('up', () => controller.hosts.isUp(host_id));
    await controller.objects.set(host_id, 'server', 's2', { instance_name: 'two', disks: [], nics: [] });
    await controller.objects.set(host_id, 'port', 'p2', {});
    await until('the new one runs', () => compute.running.has('server/s2'));
    expect(compute.running.has('server/s1')).toBe(false);
  });
});
