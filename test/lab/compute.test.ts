import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { consoleLog } from '../../agents/storage/paths.js';
import { objectKey } from '../../src/protocol/keys.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, ServerObject } from '../../src/protocol/objects.js';
import { computeAgent } from '../support/compute-agent.js';
import { imageOf, serverObject, specOf, tombstone } from '../support/guests.js';
import { LabHost, textOf, until } from '../support/lab-host.js';

const TINY = new URL('../../build/images/tiny.qcow2', import.meta.url).pathname;

let host: LabHost;
let image: Awaited<ReturnType<typeof imageOf>>;
beforeAll(async () => {
  host = await LabHost.start();
  image = await imageOf(TINY, 'qcow2');
});
afterAll(() => host?.stop());

const agent = (bootId = 'boot-1') =>
  computeAgent(host, `${host.directory}/state`, async () => image.open(), bootId);

function tiny(given: Partial<ServerObject> = {}): ServerObject {
  const disk = {
    role: 'root',
    device: 'vda',
    bus: 'virtio',
    size_bytes: 1 << 30,
    volume_id: null,
    boot_index: 1,
  } as const;
  return serverObject({ disks: [{ ...disk, image: image.image }], ...given });
}

const power = (reports: readonly ObjectReport[]) =>
  reports.map((report) => report.error?.message ?? report.observed?.power_state);

describe('a server', () => {
  test('boots the tiny image, is left alone by a second apply, and goes by a tombstone', async () => {
    const a = agent();
    const server = tiny();
    const spec = specOf(server);
    expect((await a.plan(spec)).map((step) => step.action)).toEqual([
      'create root disk vda',
      `virsh define ${server.instance_name}`,
      'power: start',
    ]);
    const started = Date.now();
    const [report] = await a.apply(spec);
    console.log(`apply took ${Date.now() - started} ms: ${host.runs.join('; ')}`);
    expect(report?.error).toBeUndefined();
    expect(report).toMatchObject({ state: 'applied', observed: { power_state: 'running' } });

    host.runs = [];
    expect(power(await a.apply(spec))).toEqual(['running']);
    expect(await a.plan(spec)).toEqual([]);
    expect(host.runs).toEqual([]);

    await until('the boot marker', 90_000, async () =>
      (await textOf(consoleLog(a.stateDir, server.id))).includes('login:'),
    );
    expect(await a.compute.consoleOutput(server.id, 2)).toContain('login:');

    const gone = tombstone(server);
    expect(await a.apply(gone)).toEqual([
      { key: objectKey('server', server.id), revision: null, state: 'gone' },
    ]);
    host.runs = [];
    expect((await a.apply(gone))[0]?.state).toBe('gone');
    expect(await a.plan(gone)).toEqual([]);
    expect(host.runs).toEqual([]);
    expect(await host.pids('qemu-system')).toEqual([]);
    await a.close();
  }, 120_000);

  test('of two agents that follow each other is started once, and destroyed once', async () => {
    const server = bare();
    const [first, second] = [agent(), agent()];
    expect(power(await first.apply(specOf(server)))).toEqual(['running']);
    await first.close();
    host.runs = [];
    expect(power(await second.apply(specOf(server)))).toEqual(['running']);
    expect(host.runs).toEqual([]);
    await second.apply(tombstone(server));
    await second.close();
  });

  test('is asked to shut down, then forced', async () => {
    const a = agent();
    const server = bare();
    await a.apply(specOf(server));
    const stopped = specOf({ ...server, power: 'stopped' });
    // nothing is reported while the guest has time
    expect(await a.apply(stopped)).toEqual([]);
    expect(await a.apply(stopped)).toEqual([]);
    expect((await a.plan(stopped)).map((step) => step.action)).toContain('power: wait');
    await until('the end of the time-out', 10_000, async () => (await a.apply(stopped)).length > 0);
    expect(power(await a.apply(stopped))).toEqual(['shutdown']);
    expect(await a.plan(stopped)).toEqual([]);
    expect(host.runs.filter((run) => run.includes(' shutdown '))).toHaveLength(1);
    expect(power(await a.apply(specOf(server)))).toEqual(['running']);
    await a.apply(tombstone(server));
    await a.close();
  });

  test('that was killed is reported by an event and not started again; a start or the next boot of the host brings it back', async () => {
    const a = agent();
    const server = bare();
    const events: ObjectKey[] = [];
    a.compute.watch?.((keys) => events.push(...keys));
    await a.apply(specOf(server));
    events.length = 0;
    const [pid] = await host.pids(`guest=${server.instance_name}`);
    const killed = Date.now();
    await host.read('kill', ['-9', String(pid)]);
    await until('the event', 5_000, () => events.includes(objectKey('server', server.id)));
    console.log(`noticed after ${Date.now() - killed} ms`);
    expect(power(await a.apply(specOf(server)))).toEqual(['crashed']);
    expect(power(await a.apply(specOf(server)))).toEqual(['crashed']);
    expect(await a.plan(specOf(server))).toEqual([]);

    await a.apply(specOf({ ...server, power: 'stopped' }));
    expect(power(await a.apply(specOf(server)))).toEqual(['running']);
    await host.run('virsh', ['destroy', server.id]);
    await a.close();
    const booted = agent('boot-2');
    expect(power(await booted.apply(specOf(server)))).toEqual(['running']);
    await booted.apply(tombstone(server));
    await booted.close();
  });

  test('is rebooted once per request, whatever the agent has seen before', async () => {
    const a = agent();
    const server = bare();
    await a.apply(specOf(server));
    const before = await host.pids(`guest=${server.instance_name}`);
    const hard = specOf({ ...server, reboot: { soft: 0, hard: 1 } });
    expect(power(await a.apply(hard))).toEqual(['running']);
    const after = await host.pids(`guest=${server.instance_name}`);
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    const b = agent();
    await b.apply(hard);
    expect(await host.pids(`guest=${server.instance_name}`)).toEqual(after);

    // a guest that does not listen is ended after the time-out
    const soft = specOf({ ...server, reboot: { soft: 1, hard: 1 } });
    expect(await b.apply(soft)).toEqual([]);
    await until('the forced reboot', 10_000, async () => (await b.apply(soft)).length > 0);
    const last = await host.pids(`guest=${server.instance_name}`);
    expect(last).toHaveLength(1);
    expect(last).not.toEqual(after);
    expect(await b.plan(soft)).toEqual([]);
    await b.apply(tombstone(server));
    await Promise.all([a.close(), b.close()]);
  });

  test('of another owner is not touched', async () => {
    const a = agent();
    const server = bare({ run_epoch: 5 });
    await a.apply(specOf({ ...server, power: 'stopped' }));
    const [report] = await a.apply(specOf({ ...server, run_epoch: 4 }));
    expect(report).toMatchObject({
      state: 'error',
      error: { message: expect.stringContaining('older than 5') },
    });
    expect(await host.pids(`guest=${server.instance_name}`)).toEqual([]);
    await a.apply(tombstone(server));
    await a.close();
  });

  test('that nobody names any more is kept and listed; domains of others are neither', async () => {
    const a = agent();
    const server = bare();
    await a.apply(specOf(server));
    const foreign = '55555555-0000-4000-8000-000000000001';
    const xml = `<domain type='qemu'><name>pet</name><uuid>${foreign}</uuid><memory unit='MiB'>16</memory><os><type>hvm</type></os></domain>`;
    await host.writeFile(`${host.directory}/pet.xml`, xml, 0o644);
    await host.run('virsh', ['define', `${host.directory}/pet.xml`]);
    await a.apply({}, new Set([objectKey('server', server.id)]));
    expect(await a.compute.orphans?.({})).toEqual([
      { kind: 'domain', name: server.instance_name, detail: `server ${server.id}, running` },
    ]);
    expect(await a.storage.orphans?.({})).toMatchObject([{ kind: 'server-disks', name: server.id }]);
    const [report] = await a.apply(specOf(bare({ id: foreign })));
    expect(report).toMatchObject({
      state: 'error',
      error: { message: expect.stringContaining('was not made for this server') },
    });
    expect((await a.apply(tombstone(bare({ id: foreign }))))[0]?.state).toBe('error');
    await host.run('virsh', ['undefine', foreign]);
    await a.apply(tombstone(bare({ id: foreign })));
    await a.apply(tombstone(server));
    await a.close();
  });

  test('survives libvirtd, and so do the conversation and the events', async () => {
    const a = agent();
    const server = bare();
    const events: ObjectKey[] = [];
    a.compute.watch?.((keys) => events.push(...keys));
    await a.apply(specOf(server));
    const before = await host.pids('guest=');
    const [libvirtd] = await host.pids('^libvirtd');
    await host.read('kill', ['-9', String(libvirtd)]);
    const [down] = await a.apply(specOf(server));
    expect(down?.error).toMatchObject({ hint: expect.stringContaining('libvirtd') });
    await host.run('libvirtd', ['-d']);
    await until('libvirtd', 15_000, async () => (await a.apply(specOf(server)))[0]?.state === 'applied');
    expect(await host.pids('guest=')).toEqual(before);
    await until(
      'the new connection for events',
      10_000,
      async () => (await host.pids('event --all')).length > 0,
    );
    await sleep(1_500);
    events.length = 0;
    await host.run('virsh', ['destroy', server.id]);
    await until('an event', 5_000, () => events.length > 0);
    await a.apply(tombstone(server));
    await a.close();
  });
});

/** A guest without an operating system: enough for everything that libvirt decides. */
function bare(given: Partial<ServerObject> = {}): ServerObject {
  return serverObject(given);
}
