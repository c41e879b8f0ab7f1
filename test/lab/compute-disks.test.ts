import { randomUUID } from 'node:crypto';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CommandOptions } from '../../agents/host/host.js';
import { RealHost } from '../../agents/host/real.js';
import { buildConfigDrive } from '../../agents/storage/config-drive.js';
import { createStoragePart } from '../../agents/storage/part.js';
import { configDriveFile, imageFile, serverDirectory, volumeFile } from '../../agents/storage/paths.js';
import { inspect } from '../../agents/storage/qemu-img.js';
import { objectKey, specObject } from '../../src/protocol/keys.js';
import type { DiskBody, Spec, VolumeObject } from '../../src/protocol/objects.js';
import { imageOf, memoryLog, rootDisk, serverObject, specOf } from '../support/guests.js';

class CountingHost extends RealHost {
  runs: string[] = [];
  override run(command: string, args: readonly string[], options?: CommandOptions) {
    this.runs.push([command, ...args].join(' '));
    return super.run(command, args, options);
  }
}

const host = new CountingHost();
let directory: string;
let qcow2: Awaited<ReturnType<typeof imageOf>>;
let downloads: string[] = [];
let broken: (stream: Readable) => Readable = (stream) => stream;
let inUseBy: string | null = null;
let stallMs = 60_000;

beforeAll(async () => {
  directory = `/tmp/maru-test/disks-${randomUUID()}`;
  await host.makeDirectory(directory, 0o755);
  await host.run('qemu-img', ['create', '-q', '-f', 'qcow2', `${directory}/base.qcow2`, '32M']);
  await host.run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0xab 0 1M', `${directory}/base.qcow2`]);
  qcow2 = await imageOf(`${directory}/base.qcow2`, 'qcow2');
});
afterAll(() => host.removeTree(directory));
beforeEach(() => {
  downloads = [];
  broken = (stream) => stream;
  inUseBy = null;
  stallMs = 60_000;
  host.runs = [];
});

function storage(stateDir = `${directory}/${randomUUID()}`, source = qcow2) {
  const part = createStoragePart({
    host,
    stateDir,
    log: memoryLog(),
    diskUser: async () => inUseBy,
    pruneAfterDays: 1,
    get stallMs() {
      return stallMs;
    },
    fetchImage: async (id) => {
      downloads.push(id);
      return broken(source.open());
    },
  });
  return { part, stateDir, apply: (spec: Spec) => part.apply({ spec, changed: null }) };
}

const extra = (role: 'ephemeral' | 'swap', device: string): DiskBody => ({
  ...rootDisk(null, 16 << 20),
  role,
  device,
  boot_index: null,
});

describe('disks of a server', () => {
  test('are made once: overlay, ephemeral, swap, config drive', async () => {
    const { part, stateDir, apply } = storage();
    const server = serverObject({
      disks: [rootDisk(qcow2.image), extra('ephemeral', 'vdb'), extra('swap', 'vdc')],
      config_drive: true,
    });
    const spec = specOf(server);
    expect((await part.plan(spec)).map((step) => step.action)).toEqual([
      'create root disk vda',
      'create ephemeral disk vdb',
      'create swap disk vdc',
      'create config drive',
    ]);
    await apply(spec);
    expect(await part.disksReady(server, spec)).toBeNull();
    const files = serverDirectory(stateDir, server.id);
    const info = await inspect(host, `${files}/root.qcow2`, 'qcow2');
    expect(info).toEqual({
      virtualSize: 64 << 20,
      backingFile: imageFile(stateDir, qcow2.image.id),
      dataFile: null,
    });
    expect((await stat(imageFile(stateDir, qcow2.image.id))).mode & 0o777).toBe(0o444);
    expect((await stat(`${files}/root.qcow2`)).mode & 0o777).toBe(0o600);
    const blkid = async (file: string) => {
      await host.run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', `${files}/${file}`, `${files}/raw`]);
      return (await host.read('blkid', ['-p', '-o', 'export', `${files}/raw`])).stdout;
    };
    expect(await blkid('ephemeral-vdb.qcow2')).toMatch(/LABEL=ephemeral0\n[\s\S]*TYPE=ext4/);
    expect(await blkid('swap-vdc.qcow2')).toContain('TYPE=swap');
    await host.removeFile(`${files}/raw`);
    const iso = configDriveFile(stateDir, server.id);
    expect((await host.read('blkid', ['-p', '-o', 'export', iso])).stdout).toMatch(
      /LABEL=config-2\n[\s\S]*TYPE=iso9660/,
    );
    const content = await readFile(iso);
    for (const [names, path] of [
      [['-R'], '/openstack/latest/meta_data.json'],
      [['-J'], '/openstack/latest/meta_data.json'],
      [[], '/OPENSTACK/LATEST/META_DATA.JSON;1'],
    ] as const) {
      const listing = await host.read('isoinfo', [...names, '-f', '-i', iso]);
      expect(listing.stdout).toContain(`${path}\n`);
      // one for each version, latest, and EC2's two
      expect(listing.stdout.match(/meta.data\.json/gi)).toHaveLength(12);
      const inner = await host.read('isoinfo', [...names, '-i', iso, '-x', path]);
      expect(JSON.parse(inner.stdout)).toMatchObject({ uuid: server.id, hostname: 'test.novalocal' });
    }
    expect(content.length % 2048).toBe(0);

    const again = `${directory}/again.iso`;
    const drive = { 'openstack/latest/meta_data.json': '{}' };
    await buildConfigDrive(host, again, drive);
    const bytes = await readFile(again);
    await host.removeFile(again);
    await buildConfigDrive(host, again, drive);
    expect(bytes.equals(await readFile(again))).toBe(true);

    host.runs = [];
    await apply(spec);
    await storage(stateDir).apply(spec);
    expect(host.runs).toEqual([]);
    expect(await part.plan(spec)).toEqual([]);
    expect(downloads).toEqual([qcow2.image.id]);
    expect((await readdir(files)).sort()).toEqual([
      'config.iso',
      'ephemeral-vdb.qcow2',
      'root.qcow2',
      'swap-vdc.qcow2',
    ]);
    await part.removeServer(server.id);
    expect(await part.orphans?.({})).toEqual([]);
  });

  test('are never made anew, whatever changes', async () => {
    const { stateDir, apply } = storage();
    const server = serverObject({ disks: [rootDisk(qcow2.image)] });
    await apply(specOf(server));
    const file = `${serverDirectory(stateDir, server.id)}/root.qcow2`;
    await host.run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0xcd 2M 1M', file]);
    const before = await stat(file);
    await apply(specOf({ ...server, disks: [rootDisk(qcow2.image, 128 << 20)] }));
    await apply(specOf({ ...server, disks: [rootDisk(null)] }));
    const after = await stat(file);
    expect([after.ino, after.mtimeMs, after.size]).toEqual([before.ino, before.mtimeMs, before.size]);
  });

  test('are as large as the image at least', async () => {
    const { stateDir, apply } = storage();
    const server = serverObject({ disks: [rootDisk(qcow2.image, 1 << 20)] });
    await apply(specOf(server));
    const info = await inspect(host, `${serverDirectory(stateDir, server.id)}/root.qcow2`, 'qcow2');
    expect(info.virtualSize).toBe(32 << 20);
  });

  test('share one download', async () => {
    const { apply } = storage();
    const servers = Array.from({ length: 5 }, () => serverObject({ disks: [rootDisk(qcow2.image)] }));
    await apply(specOf(...servers));
    expect(downloads).toHaveLength(1);
  });
});

describe('an image that is not what it should be', () => {
  async function refused(source: Awaited<ReturnType<typeof imageOf>>, image = source.image) {
    const { part, stateDir, apply } = storage(undefined, source);
    const server = serverObject({ disks: [rootDisk(image)] });
    const spec = specOf(server);
    await apply(spec);
    expect(await host.listDirectory(`${stateDir}/images`)).toEqual([]);
    expect(await host.stat(`${serverDirectory(stateDir, server.id)}/root.qcow2`)).toBeNull();
    const error = await part.disksReady(server, spec);
    broken = (stream) => stream;
    return { error, retry: () => apply(spec).then(() => part.disksReady(server, spec)) };
  }

  test('cut short, is refused and fetched again', async () => {
    broken = () => Readable.from([Buffer.alloc(1000)]);
    const { error, retry } = await refused(qcow2);
    expect(error?.message).toContain('1000 of');
    expect(await retry()).toBeNull();
  });

  test('damaged on the way, is refused and fetched again', async () => {
    broken = () => Readable.from([Buffer.alloc(qcow2.image.size)]);
    const { error, retry } = await refused(qcow2);
    expect(error?.message).toContain('SHA-512');
    expect(await retry()).toBeNull();
  });

  test('whose transfer breaks off, is fetched again', async () => {
    broken = (stream) => {
      setImmediate(() => stream.destroy(new Error('connection reset')));
      return stream;
    };
    const { error, retry } = await refused(qcow2);
    expect(error?.message).toContain('connection reset');
    expect(await retry()).toBeNull();
  });

  test('whose transfer hangs, is fetched again', async () => {
    broken = () => new Readable({ read() {} });
    stallMs = 300;
    const { error, retry } = await refused(qcow2);
    expect(error?.message).toContain('no byte came');
    stallMs = 60_000;
    expect(await retry()).toBeNull();
  });

  test('of another format, is refused', async () => {
    await writeFile(`${directory}/text`, 'no disk at all'.repeat(100));
    const { error } = await refused(await imageOf(`${directory}/text`, 'qcow2'));
    expect(error).toMatchObject({ command: expect.stringContaining('qemu-img info'), exit_code: 1 });
  });

  test('that refers to files of the host, is refused', async () => {
    const path = `${directory}/backed.qcow2`;
    await host.run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', path, '1M']);
    const { error } = await refused(await imageOf(path, 'qcow2'));
    expect(error?.message).toContain('/etc/passwd');
  });

  test('changed in the cache, is not used for another disk', async () => {
    const { part, stateDir, apply } = storage();
    await apply(specOf(serverObject({ disks: [rootDisk(qcow2.image)] })));
    await truncate(imageFile(stateDir, qcow2.image.id), 100);
    const server = serverObject({ disks: [rootDisk(qcow2.image)] });
    await apply(specOf(server));
    expect((await part.disksReady(server, specOf(server)))?.message).toContain('has 100 bytes');
  });
});

test('a full disk is told in words, leaves nothing half-made, and is overcome', async () => {
  const small = `${directory}/small`;
  await host.makeDirectory(small, 0o755);
  await host.run('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', small]);
  try {
    const { part, stateDir, apply } = storage(`${small}/state`);
    const server = serverObject({ disks: [rootDisk(qcow2.image)] });
    const spec = specOf(server);
    await apply(spec);
    const error = await part.disksReady(server, spec);
    expect(error?.message).toContain('ENOSPC');
    expect(error?.hint).toContain('free space');
    expect(await host.listDirectory(`${stateDir}/images`)).toEqual([]);
    await host.run('mount', ['-o', 'remount,size=64m', small]);
    await apply(spec);
    expect(await part.disksReady(server, spec)).toBeNull();
  } finally {
    await host.run('umount', [small]);
  }
});

describe('a volume', () => {
  const volumeSpec = (volume: VolumeObject, tombstone = false): Spec => ({
    [objectKey('volume', volume.id)]: specObject<'volume'>(volume, tombstone),
  });

  test.each(['qcow2', 'raw'] as const)(
    'is made as %s from an image, grows, and goes by a tombstone',
    async (format) => {
      const { part, stateDir, apply } = storage();
      const volume: VolumeObject = { id: randomUUID(), format, size_bytes: 64 << 20, image: qcow2.image };
      expect(await apply(volumeSpec(volume))).toMatchObject([{ state: 'applied' }]);
      const path = volumeFile(stateDir, volume);
      expect(await inspect(host, path, format)).toEqual({
        virtualSize: 64 << 20,
        backingFile: null,
        dataFile: null,
      });
      const pattern = await host.read('qemu-io', ['-f', format, '-c', 'read -P 0xab 0 1M', path]);
      expect(pattern.stdout).not.toContain('failed');
      host.runs = [];
      await apply(volumeSpec(volume));
      expect(host.runs).toEqual([]);

      const larger = { ...volume, size_bytes: 96 << 20 };
      inUseBy = 'instance-1';
      expect((await apply(volumeSpec(larger)))[0]?.error?.message).toContain('in use by instance-1');
      expect((await apply(volumeSpec(larger, true)))[0]?.error?.message).toContain('still in use');
      inUseBy = null;
      expect((await part.plan(volumeSpec(larger)))[0]?.action).toBe('grow volume');
      await apply(volumeSpec(larger));
      expect((await inspect(host, path, format)).virtualSize).toBe(96 << 20);
      // absence destroys nothing
      await apply({});
      expect(await part.orphans?.({})).toMatchObject([{ kind: 'volume-file', name: volume.id }]);
      expect(await apply(volumeSpec(larger, true))).toMatchObject([{ state: 'gone' }]);
      expect(await host.listDirectory(`${stateDir}/volumes`)).toEqual([]);
      expect(await apply(volumeSpec(larger, true))).toMatchObject([{ state: 'gone' }]);
    },
  );

  test('smaller than its image is refused', async () => {
    const { apply } = storage();
    const volume: VolumeObject = { id: randomUUID(), format: 'raw', size_bytes: 1 << 20, image: qcow2.image };
    expect((await apply(volumeSpec(volume)))[0]?.error?.message).toContain('needs');
  });
});

test('base images are pruned when they are old and nothing is based on them', async () => {
  const { part, stateDir, apply } = storage();
  const server = serverObject({ disks: [rootDisk(qcow2.image)] });
  await apply(specOf(server));
  const note = `${imageFile(stateDir, qcow2.image.id)}.json`;
  const age = () => host.run('touch', ['-d', '3 days ago', note]);
  const kept = async () => (await host.stat(imageFile(stateDir, qcow2.image.id))) !== null;

  await age();
  await part.housekeeping?.(specOf(server));
  expect(await kept()).toBe(true);
  await age();
  // the disks of a server that the spec does not name hold everything back
  await storage(stateDir).part.housekeeping?.({});
  expect(await kept()).toBe(true);
  await part.removeServer(server.id);
  await storage(stateDir).part.housekeeping?.({});
  expect(await kept()).toBe(false);
});
