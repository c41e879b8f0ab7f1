import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createComputePart } from '../../agents/compute/part.js';
import { createStoragePart } from '../../agents/storage/part.js';
import { consoleLog } from '../../agents/storage/paths.js';
import { objectKey, specObject } from '../../src/protocol/keys.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, ServerObject, Spec } from '../../src/protocol/objects.js';
import { imageOf, memoryLog, serverObject, specOf } from '../support/guests.js';
import { LabHost, LIBVIRT_URI, textOf, until } from '../support/lab-host.js';

const TINY = new URL('../../build/images/tiny.qcow2', import.meta.url).pathname;

let host: LabHost;
let image: Awaited<ReturnType<typeof imageOf>>;
beforeAll(async () => {
  host = await LabHost.start();
  image = await imageOf(TINY, 'qcow2');
});
afterAll(() => host?.stop());

/** An agent's storage and compute over the lab host; several may follow each other, as after restarts. */
function agent(bootId = 'boot-1') {
  const log = memoryLog();
  const stateDir = `${host.directory}/state`;
  const storage = createStoragePart({
    host,
    stateDir,
    log,
    fetchImage: async () => image.open(),
    diskUser: (path) => compute.diskUser(path),
  });
  const compute = createComputePart({
    host,
    stateDir,
    libvirtUri: LIBVIRT_URI,
    virtType: 'qemu',
    bootId,
    storage,
    portReady: () => null,
    shutdownTimeoutMs: 2_000,
    log,
  });
  const apply = async (spec: Spec, changed: ReadonlySet<ObjectKey> | null = null) => [
    ...(await storage.apply({ spec, changed })),
    ...(await compute.apply({ spec, changed })),
  ];
  const plan = async (spec: Spec) => [...(await storage.plan(spec)), ...(await compute.plan(spec))];
  return { storage, compute, apply, plan, stateDir, log, close: () => compute.close?.() };
}

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

function tombstone(server: ServerObject): Spec {
  return { [objectKey('server', server.id)]: specObject<'server'>(server, true) };
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
});
