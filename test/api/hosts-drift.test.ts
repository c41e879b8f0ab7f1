import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Part } from '../../agents/part.js';
import type { HeldSpec } from '../../agents/spec-store.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import { listDrift } from '../../src/store/drift.js';
import { updateHost } from '../../src/store/hosts.js';
import { findReports } from '../../src/store/reports.js';
import { recordChange } from '../../src/store/store.js';
import { MemoryPart, TestAgent, TestController, until } from '../support/hosts/harness.js';

const server = (name: string) => ({ instance_name: name, run_epoch: 1, disks: [] as object[], nics: [] });

describe('a host and its controller', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;
  let agent: TestAgent;
  let hostId: string;
  let network: MemoryPart;
  let compute: MemoryPart;
  /** Servers that were brought about, in order. */
  let started: string[];

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
    agent = await TestAgent.create('host1', cleanups, { boot_wait: 60 });
    hostId = (await agent.join(await controller.token())).host_id;
    emptyHost();
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  /** What a host has after a boot: nothing runs. */
  function emptyHost(): void {
    network = new MemoryPart('network', ['network', 'port']);
    compute = new MemoryPart('compute', ['server']);
    started = [];
    const { present } = compute;
    present.set = (name, revision) => {
      started.push(name);
      return Map.prototype.set.call(present, name, revision);
    };
  }

  const reportOf = async (key: ObjectReport['key']) =>
    (await findReports(controller.store.read, hostId, [key]))[0];
  const isApplied = async (key: ObjectReport['key']) => (await reportOf(key))?.state === 'applied';

  /** An agent with two servers, whose host is then switched off. */
  async function switchedOff(): Promise<void> {
    await agent.start({ network, compute });
    await controller.objects.set(hostId, 'network', 'n1', {});
    await controller.objects.set(hostId, 'server', 's1', server('one'));
    await controller.objects.set(hostId, 'server', 's2', server('two'));
    await until('applied', async () => (await isApplied('server/s1')) && (await isApplied('server/s2')));
    await agent.stop();
    emptyHost();
  }

  describe('after a boot of the host', () => {
    it('starts only what the controller still wants there', async () => {
      await switchedOff();
      await controller.objects.remove('server', 's2');
      agent.bootId = 'boot-2';
      await agent.start({ network, compute });
      await until('the other one runs', () => compute.present.has('server/s1'));
      await sleep(300);
      expect(compute.present.has('server/s2')).toBe(false);
      expect(started).not.toContain('server/s2');
      expect(network.present.has('network/n1')).toBe(true);
    });

    it('starts what the controller confirms, without a push', async () => {
      await switchedOff();
      agent.bootId = 'boot-2';
      await agent.start({ network, compute });
      await until('both run', () => compute.present.size === 2);
      expect(agent.lines.join('')).toContain('the controller has confirmed the spec');
      // the boot is known now: an agent that starts again asks nobody
      await agent.stop();
      await controller.hosts.close();
      emptyHost();
      await agent.start({ network, compute });
      await until('both are looked after', () => compute.present.size === 2);
    });

    it('waits for a controller that cannot be asked, then starts guests with local disks from the spec on disk', async () => {
      await agent.start({ network, compute });
      await controller.objects.set(hostId, 'network', 'n1', {});
      await controller.objects.set(hostId, 'server', 's1', server('one'));
      const elsewhere = { role: 'volume', volume_id: 'v-of-another-host', device: 'vdb' };
      await controller.objects.set(hostId, 'server', 's2', { ...server('two'), disks: [elsewhere] });
      await until('applied', async () => (await isApplied('server/s1')) && (await isApplied('server/s2')));
      await agent.stop();
      await controller.hosts.close();
      emptyHost();
      agent.bootId = 'boot-2';
      Object.assign(agent.config, { boot_wait: 3 });
      const hasWaited = () => agent.lines.join('').includes('the controller cannot be asked');
      let early = false;
      compute.gate = async () => {
        if (!hasWaited()) early = true;
      };
      const began = performance.now();
      await agent.start({ network, compute });
      await until('the network is there', () => network.present.has('network/n1') || hasWaited());
      expect(network.present.has('network/n1')).toBe(true);
      await until('the guest runs', () => compute.present.has('server/s1'));
      expect(early).toBe(false);
      expect(performance.now() - began).toBeGreaterThan(2_950);
      await sleep(200);
      expect(started).not.toContain('server/s2');
      // once the controller is back, it says what holds for the others
      await controller.restart();
      await until('the other one runs too', () => compute.present.has('server/s2'));
    });

    it('disturbs nothing when only the agent starts again', async () => {
      await switchedOff();
      await controller.hosts.close();
      await agent.start({ network, compute });
      await until('both are looked after at once', () => compute.present.size === 2);
    });
  });

  describe('that is only to observe', () => {
    const observe = (on: boolean) =>
      controller.store.tx(async (tx) => {
        await updateHost(tx, hostId, { observe_only: on ? 1 : 0 });
        await recordChange(tx, 'host', hostId);
      });

    it('changes nothing, says what it would, and does it afterwards', async () => {
      await agent.start({ network, compute });
      await controller.objects.set(hostId, 'network', 'n1', {});
      await controller.objects.set(hostId, 'server', 's1', server('one'));
      await until('applied', () => isApplied('server/s1'));
      await observe(true);
      await until('held', async () => (await specFile()).settings.observe_only);
      expect(await plan()).toEqual([]);
      const calls = [network.calls.length, compute.calls.length];
      await controller.objects.set(hostId, 'server', 's2', server('two'));
      await controller.objects.set(hostId, 'network', 'n2', {});
      await controller.objects.remove('network', 'n1');
      await until('told', async () => (await reportOf('server/s2'))?.state === 'held');
      expect((await reportOf('server/s2'))?.error).toMatchObject({
        message: expect.stringContaining('only observes'),
        hint: expect.stringContaining('maru plan'),
      });
      expect((await reportOf('server/s1'))?.state).toBe('applied');
      await until('told', async () => (await reportOf('network/n2'))?.state === 'held');
      expect([network.calls.length, compute.calls.length]).toEqual(calls);
      expect([...network.present.keys(), ...compute.present.keys()]).toEqual(['network/n1', 'server/s1']);
      // also not by an agent that starts while it holds
      await agent.stop();
      await agent.start({ network, compute });
      await sleep(300);
      expect([network.calls.length, compute.calls.length]).toEqual(calls);
      await observe(false);
      await until('done', async () => (await isApplied('server/s2')) && (await isApplied('network/n2')));
      expect(network.present.has('network/n1')).toBe(false);
    });

    it('tells of what left the spec in the push that lets it act again', async () => {
      // as the real part: a run for everything tells of what is in the spec
      const apply = network.apply.bind(network);
      network.apply = async (request) => {
        const told = await apply(request);
        return request.changed ? told : told.filter(({ key }) => request.spec[key]);
      };
      await agent.start({ network, compute });
      await controller.objects.set(hostId, 'network', 'n1', {});
      await until('applied', () => isApplied('network/n1'));
      await observe(true);
      await until('held', async () => (await specFile()).settings.observe_only);
      await controller.store.tx(async (tx) => {
        controller.objects.removeSilently('network', 'n1');
        await updateHost(tx, hostId, { observe_only: 0 });
        await recordChange(tx, 'host', hostId);
        await recordChange(tx, 'network', 'n1');
      });
      await until('told that it is gone', async () => (await reportOf('network/n1')) === undefined);
      expect(network.present.has('network/n1')).toBe(false);
    });

    const specFile = async () =>
      JSON.parse(await readFile(`${agent.config.state_dir}/spec.json`, 'utf8')) as HeldSpec;
    const plan = async () => (await controller.hosts.plan(hostId)).steps;
  });

  it('takes nothing for a change by others that is pushed before its first look', async () => {
    const looks: { except: readonly string[] | null; wanted: readonly string[] }[] = [];
    let first: () => void = () => {};
    const apply = network.apply.bind(network);
    network.apply = async (request) => {
      const except = request.settled ? [...request.settled.except].sort() : null;
      looks.push({ except, wanted: Object.keys(request.spec).sort() });
      return await apply(request);
    };
    await agent.start({ network, compute });
    await controller.objects.set(hostId, 'network', 'n1', { mtu: 1500 });
    await controller.objects.set(hostId, 'network', 'n2', {});
    await until('applied', async () => (await isApplied('network/n1')) && (await isApplied('network/n2')));
    const settled = async () =>
      JSON.parse(await readFile(`${agent.config.state_dir}/drift.json`, 'utf8').catch(() => '{}'))?.settled
        ?.digest;
    const digest = async () =>
      (await readFile(`${agent.config.state_dir}/spec.json`, 'utf8')).includes(
        `"digest":"${await settled()}"`,
      );
    await until('settled', digest);
    await agent.stop();
    looks.length = 0;
    // its first look fails as a whole, so that the next one is the first of the changed spec
    const works = network.apply;
    const gate = new Promise<void>((resolve) => (first = resolve));
    network.apply = async () => {
      await gate;
      throw new Error('the first look fails');
    };
    await agent.start({ network, compute });
    await controller.objects.set(hostId, 'network', 'n1', { mtu: 1400 });
    await controller.objects.set(hostId, 'network', 'n3', {});
    await until('taken', async () =>
      (await readFile(`${agent.config.state_dir}/spec.json`, 'utf8')).includes('network/n3'),
    );
    network.apply = works;
    first();
    await until('applied', async () => await isApplied('network/n3'));
    expect(looks[0]).toEqual({
      except: ['network/n1', 'network/n3'],
      wanted: ['network/n1', 'network/n2', 'network/n3'],
    });
  });

  it('hears what others have changed, and what was put right', async () => {
    const found: { now: boolean } = { now: false };
    const part: Part = {
      name: 'network',
      plan: async () => [],
      async apply({ spec, look }) {
        const object = 'network/n1' as const;
        if (found.now && spec[object])
          look?.judge(object, [{ object, action: 'ip', detail: 'link add name brqn1 type bridge' }]);
        found.now = false;
        look?.complete();
        return spec[object] ? [{ key: object, revision: spec[object].revision, state: 'applied' }] : [];
      },
      watch(_changed, suspect) {
        suspects.push(suspect ?? (() => {}));
      },
    };
    const suspects: (() => void)[] = [];
    await agent.start({ network: part, compute });
    await controller.objects.set(hostId, 'network', 'n1', {});
    await until('applied', () => isApplied('network/n1'));
    found.now = true;
    suspects[0]?.();
    const told = () => listDrift(controller.store.read, hostId, 10);
    await until('told', async () => (await told())[0]?.state === 'healed');
    expect(await told()).toMatchObject([
      {
        object: 'network/n1',
        state: 'healed',
        detail: 'bridge brqn1 was missing',
        healed_at: expect.any(String),
      },
    ]);
    expect(await controller.hosts.healDrift(hostId, { object: 'network/n1' })).toEqual({
      outcome: 'unknown',
      detail: null,
    });
  });
});
