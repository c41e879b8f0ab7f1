import { createReadStream } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ServerObject, Spec } from '../../src/protocol/objects.js';
import { computeAgent } from '../support/compute-agent.js';
import { imageOf, rootDisk, serverObject, specOf, tombstone } from '../support/guests.js';
import { LabHost, LIBVIRT_URI, until } from '../support/lab-host.js';

let host: LabHost;
let image: Awaited<ReturnType<typeof imageOf>>;
beforeAll(async () => {
  host = await LabHost.start();
  const file = `${host.directory}/base.qcow2`;
  await host.run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '16M']);
  image = await imageOf(file, 'qcow2');
});
afterAll(() => host?.stop());

const libvirtd = () => host.pids('^libvirtd');
async function endLibvirtd(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  // what it has forked and is just becoming another program looks like it
  const [oldest] = await libvirtd();
  if (oldest !== undefined) await host.end(oldest, signal);
  await until('the end of libvirtd', 60_000, async () => (await libvirtd()).length === 0);
}
async function startLibvirtd(): Promise<void> {
  if ((await libvirtd()).length === 0) await host.run('libvirtd', ['-d']);
  await until('libvirtd', 60_000, async () => {
    const { exitCode } = await host.read('virsh', ['-c', LIBVIRT_URI, 'list'], { okCodes: [0, 1] });
    return exitCode === 0;
  });
}

/** libvirtd ends under the agent, at once or in order, and comes back; guests are QEMU's processes and go on. */
describe('a host whose libvirtd goes away', () => {
  let server: ServerObject;
  let state: string;
  let agent: ReturnType<typeof computeAgent>;
  let count = 0;

  const qemu = () => host.pids(`guest=${server.instance_name}`);
  const start = (bootId = 'boot-1') =>
    computeAgent(host, state, async () => createReadStream(`${host.directory}/base.qcow2`), bootId);
  /** As the agent does: what failed is tried again until it is well. */
  const converge = async (spec: Spec, wanted: object) => {
    let last: unknown = null;
    await until(`${JSON.stringify(wanted)}, not ${JSON.stringify(last)}`, 60_000, async () => {
      const [report] = await agent.apply(spec);
      last = report;
      return report !== undefined && Object.entries(wanted).every(([k, v]) => report[k as 'state'] === v);
    });
  };

  beforeEach(() => {
    state = `${host.directory}/state-${++count}`;
    server = serverObject({
      memory_mb: 64,
      disks: [rootDisk(image.image, 32 << 20)],
    });
    agent = start();
  });
  afterEach(async () => {
    await startLibvirtd();
    await converge(tombstone(server), { state: 'gone' });
    await agent.close();
    expect(await host.pids('guest=')).toEqual([]);
    expect(await host.listDirectory(`${state}/servers`)).toEqual([]);
  }, 300_000);

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    '%s while a guest is made: one guest in the end',
    async (signal) => {
      const spec = specOf(server);
      const first = agent.apply(spec);
      await until('the definition', 60_000, () => host.runs.some((run) => run.includes(' define ')));
      await endLibvirtd(signal);
      await first;
      await startLibvirtd();
      await converge(spec, { state: 'applied' });
      expect(await qemu()).toHaveLength(1);
      host.runs = [];
      await agent.apply(spec);
      expect(host.runs).toEqual([]);
    },
    300_000,
  );

  test('away for a while: the error names it, the guest goes on, nothing is done to it afterwards', async () => {
    const spec = specOf(server);
    await converge(spec, { state: 'applied' });
    const before = await qemu();
    await endLibvirtd('SIGTERM');
    const [report] = await agent.apply(spec);
    expect(report).toMatchObject({ state: 'error' });
    expect(JSON.stringify(report?.error)).toMatch(/libvirt/);
    expect(await qemu()).toEqual(before);
    await startLibvirtd();
    host.runs = [];
    await converge(spec, { state: 'applied' });
    expect(host.runs).toEqual([]);
    expect(await qemu()).toEqual(before);
    expect(await agent.plan(spec)).toEqual([]);
  }, 300_000);

  test('away while a guest is to be destroyed: it goes when libvirtd is back', async () => {
    await converge(specOf(server), { state: 'applied' });
    await endLibvirtd('SIGKILL');
    const [report] = await agent.apply(tombstone(server));
    expect(report).toMatchObject({ state: 'error' });
    await startLibvirtd();
    await converge(tombstone(server), { state: 'gone' });
    expect(await qemu()).toEqual([]);
  }, 300_000);

  test('the power of the host fails: after the boot its guest is started once, by the spec that is on disk', async () => {
    const spec = specOf(server);
    await converge(spec, { state: 'applied' });
    await agent.close();
    await endLibvirtd('SIGKILL');
    for (const pid of await qemu()) await host.end(pid, 'SIGKILL');
    await host.run('rm', ['-rf', '/run/libvirt/qemu']);
    await startLibvirtd();
    agent = start('boot-2');
    await converge(spec, { state: 'applied' });
    expect(await qemu()).toHaveLength(1);
  }, 300_000);
});
