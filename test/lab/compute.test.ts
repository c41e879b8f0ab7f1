import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { consoleLog } from '../../agents/storage/paths.js';
import { tapName } from '../../src/net/names.js';
import { objectKey } from '../../src/protocol/keys.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, ServerObject, Spec } from '../../src/protocol/objects.js';
import { computeAgent } from '../support/compute-agent.js';
import { imageOf, rootDisk, serverObject, specOf, tinyImageFile, tombstone } from '../support/guests.js';
import { LabHost, textOf, until } from '../support/lab-host.js';

/** Building the image downloads the kernel's package. */
const IMAGE_BUILD_MS = 900_000;
/** For what waits for libvirt or a guest without an operating system on a busy machine. */
const PATIENCE_MS = 60_000;

let host: LabHost;
let image: Awaited<ReturnType<typeof imageOf>>;
beforeAll(async () => {
  host = await LabHost.start();
  image = await imageOf(tinyImageFile(), 'qcow2');
}, IMAGE_BUILD_MS);
afterAll(() => host?.stop());

const SHUTDOWN_TIMEOUT_MS = 300_000;
const agent = (bootId = 'boot-1') =>
  computeAgent(host, `${host.directory}/state`, async () => image.open(), bootId, SHUTDOWN_TIMEOUT_MS);

/** Has time stand still on the host; the function that this gives lets the shutdown time-out pass. */
function stopClock(): () => void {
  const now = Date.now();
  host.clock = () => new Date(now);
  return () => {
    host.clock = () => new Date(now + SHUTDOWN_TIMEOUT_MS);
  };
}
afterEach(() => {
  host.clock = () => new Date();
});

function tiny(given: Partial<ServerObject> = {}): ServerObject {
  return serverObject({ disks: [rootDisk(image.image, 1 << 30)], ...given });
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

    await until('the boot marker', 200_000, async () =>
      (await textOf(consoleLog(a.stateDir, server.id))).includes('login:'),
    );
    expect(await a.compute.consoleOutput(server.id, 2)).toContain('login:');

    const gone = tombstone(server);
    expect(await a.apply(gone)).toEqual([
      { key: objectKey('server', server.id), revision: Object.values(gone)[0]?.revision, state: 'gone' },
    ]);
    host.runs = [];
    expect((await a.apply(gone))[0]?.state).toBe('gone');
    expect(await a.plan(gone)).toEqual([]);
    expect(host.runs).toEqual([]);
    expect(await host.pids('qemu-system')).toEqual([]);
    await a.close();
  }, 300_000);

  test('reads its config drive, reboots and stops when its guest is asked to', async () => {
    const a = agent();
    const server = tiny({ name: 'drive', config_drive: true });
    const key = objectKey('server', server.id);
    const waiting: ObjectKey[] = [];
    a.compute.watch?.((keys) => waiting.push(...keys));
    const prompts = async () =>
      (await textOf(consoleLog(a.stateDir, server.id))).split('drive login:').length - 1;
    const reported = async (spec: Spec, what: string) => {
      await until(what, SHUTDOWN_TIMEOUT_MS + PATIENCE_MS, async () => {
        // as the agent's loop does: apply again when an event says so
        if (!waiting.splice(0).includes(key)) return false;
        return (await a.apply(spec)).length > 0;
      });
      return power(await a.apply(spec));
    };
    await a.apply(specOf(server));
    await until('the login prompt', 200_000, async () => (await prompts()) === 1);

    const reboot = { ...server, reboot: { soft: 1, hard: 0 } };
    waiting.splice(0);
    expect(await a.apply(specOf(reboot))).toEqual([]);
    expect(await reported(specOf(reboot), 'the end of the reboot')).toEqual(['running']);
    await until('the second login prompt', 200_000, async () => (await prompts()) === 2);

    const stopped = { ...reboot, power: 'stopped' as const };
    waiting.splice(0);
    expect(await a.apply(specOf(stopped))).toEqual([]);
    expect(await reported(specOf(stopped), 'the end of the guest')).toEqual(['shutdown']);
    expect(host.runs.filter((run) => run.includes(' destroy '))).toEqual([]);
    await a.apply(tombstone(server));
    await a.close();
  }, 900_000);

  test.each(['pc', 'q35'])(
    'with every kind of device starts on %s, its interfaces on taps that exist',
    async (machine) => {
      const a = agent();
      const port_id = randomUUID();
      const tap = tapName(port_id);
      await host.run('ip', ['tuntap', 'add', 'dev', tap, 'mode', 'tap']);
      await host.run('ip', ['link', 'set', tap, 'up']);
      const disk = { size_bytes: 16 << 20, image: null, volume_id: null, boot_index: null } as const;
      const server = bare({
        hardware: {
          hw_machine_type: machine,
          hw_qemu_guest_agent: 'yes',
          hw_watchdog_action: 'reset',
          hw_pointer_model: 'usbtablet',
        },
        config_drive: true,
        vcpus: 2,
        nics: [{ port_id, mac: 'fa:16:3e:00:00:01', mtu: 1450, model: 'virtio' }],
        disks: [
          { ...disk, role: 'root', device: 'vda', bus: 'virtio', boot_index: 1 },
          { ...disk, role: 'ephemeral', device: 'vdb', bus: 'virtio' },
          { ...disk, role: 'swap', device: 'sda', bus: 'scsi' },
          { ...disk, role: 'ephemeral', device: 'sdb', bus: 'sata' },
        ],
      });
      const [report] = await a.apply(specOf(server));
      expect(report?.error).toBeUndefined();
      expect(await a.plan(specOf(server))).toEqual([]);
      // a tap has a carrier while somebody holds it
      const { stdout } = await host.read('ip', ['-j', 'link', 'show', tap]);
      expect(JSON.parse(stdout)[0].flags).toContain('LOWER_UP');
      await a.apply(tombstone(server));
      // managed='no': the tap is the network's to remove
      await host.run('ip', ['link', 'del', tap]);
      await a.close();
    },
  );

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
    const timeOut = stopClock();
    // nothing is reported while the guest has time
    expect(await a.apply(stopped)).toEqual([]);
    expect(await a.apply(stopped)).toEqual([]);
    expect((await a.plan(stopped)).map((step) => step.action)).toContain('power: wait');
    timeOut();
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
    await until('the event', PATIENCE_MS, () => events.includes(objectKey('server', server.id)));
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
    const timeOut = stopClock();
    expect(await b.apply(soft)).toEqual([]);
    timeOut();
    expect(power(await b.apply(soft))).toEqual(['running']);
    const last = await host.pids(`guest=${server.instance_name}`);
    expect(last).toHaveLength(1);
    expect(last).not.toEqual(after);
    expect(await b.plan(soft)).toEqual([]);
    await b.apply(tombstone(server));
    await Promise.all([a.close(), b.close()]);
  });

  test('among many is made and destroyed at the same time as the others', async () => {
    const a = agent();
    const servers = Array.from({ length: 6 }, () => bare({ memory_mb: 32 }));
    const reports = await a.apply(specOf(...servers));
    expect(power(reports)).toEqual(servers.map(() => 'running'));
    expect(await a.compute.runningGuests()).toBe(6);
    const gone = Object.assign({}, ...servers.map(tombstone)) as Spec;
    expect((await a.apply(gone)).map((report) => report.state)).toEqual(servers.map(() => 'gone'));
    expect(await host.pids('guest=')).toEqual([]);
    await a.close();
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
      {
        kind: 'domain',
        name: server.instance_name,
        object: objectKey('server', server.id),
        detail: expect.stringContaining(`server ${server.id}, running, disks `),
      },
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
    await host.end(libvirtd!, 'SIGKILL');
    const [down] = await a.apply(specOf(server));
    expect(down?.error).toMatchObject({ hint: expect.stringContaining('libvirtd') });
    await host.run('libvirtd', ['-d']);
    await until('libvirtd', PATIENCE_MS, async () => (await a.apply(specOf(server)))[0]?.state === 'applied');
    expect(await host.pids('guest=')).toEqual(before);
    // events come of a connection that hears them; nothing tells when it does
    events.length = 0;
    await until('an event of the new connection', PATIENCE_MS, async () => {
      for (const command of ['suspend', 'resume']) await host.run('virsh', [command, server.id]);
      return events.length > 0;
    });
    await a.apply(tombstone(server));
    await a.close();
  });
});

/** A guest without an operating system: enough for everything that libvirt decides. */
function bare(given: Partial<ServerObject> = {}): ServerObject {
  return serverObject(given);
}
