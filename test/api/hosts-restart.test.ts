import { afterEach, describe, expect, it } from 'vitest';
import { findHosts } from '../../src/store/hosts.js';
import { findReports } from '../../src/store/reports.js';
import type { Tx } from '../../src/store/store.js';
import { MemoryPart, TestAgent, TestController, until } from '../support/hosts/harness.js';

const HOSTS = ['host1', 'host2', 'host3', 'host4', 'host5', 'host6'];

describe('a controller that is restarted under its hosts', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  it('commits for all of them together, not for each', async () => {
    const controller = await TestController.start(cleanups);
    const { store } = controller;
    await controller.listen();
    const ids: string[] = [];
    for (const name of HOSTS) {
      const agent = await TestAgent.create(name, cleanups);
      ids.push((await agent.join(await controller.token())).host_id);
      await agent.start({
        network: new MemoryPart('network', ['network', 'port']),
        storage: new MemoryPart('storage', ['volume']),
        compute: new MemoryPart('compute', ['server']),
      });
      await controller.objects.set(ids.at(-1)!, 'port', `port-of-${name}`, {});
    }
    const isApplied = async (id: string, n: number) =>
      (await findReports(store.read, id, [`port/port-of-${HOSTS[n]}`]))[0]?.state === 'applied';
    await until('all applied', async () => (await Promise.all(ids.map(isApplied))).every(Boolean));

    const restartedAt = new Date().toISOString();
    /** Of each transaction that wrote of hosts: of how many. */
    const written: number[] = [];
    const tx = store.tx.bind(store);
    store.tx = async (body) => {
      let hosts = 0;
      const value = await tx((real) => {
        hosts = 0;
        return body(watched(real, () => hosts++));
      });
      if (hosts > 0) written.push(hosts);
      return value;
    };
    await controller.restart();
    const isSettled = async () => {
      const hosts = await findHosts(store.read, ids);
      const delivered = ids.every((id) => controller.hosts.deliveryFault(id) === null);
      return (
        delivered && hosts.every((host) => host.last_seen_at !== null && host.last_seen_at > restartedAt)
      );
    };
    await until('all heard, and stored as such', isSettled, 20_000);
    expect(written.reduce((sum, hosts) => sum + hosts, 0)).toBeGreaterThanOrEqual(HOSTS.length);
    expect(written.length, written.join()).toBeLessThan(HOSTS.length);
  });
});

/** A transaction that tells of each update of a host's row. */
function watched(tx: Tx, onHost: () => void): Tx {
  return new Proxy(tx, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'updateTable' && args[0] === 'host') onHost();
        return value.apply(target, args);
      };
    },
  });
}
