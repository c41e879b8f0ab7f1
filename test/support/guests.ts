import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { objectKey, specObject } from '../../src/protocol/keys.js';
import { createLogger, type Logger } from '../../src/protocol/log.js';
import type { DiskBody, ImageRef, ServerObject, Spec, SubnetBody } from '../../src/protocol/objects.js';

/** A server with a root disk and nothing else; what a test is about is given. */
export function serverObject(given: Partial<ServerObject> = {}): ServerObject {
  const id = given.id ?? randomUUID();
  const name = given.name ?? 'test';
  return {
    id,
    instance_name: `instance-${id.slice(0, 8)}`,
    name,
    project_id: 'b3c1d5a0000000000000000000000001',
    user_id: 'b3c1d5a0000000000000000000000002',
    run_epoch: 1,
    vcpus: 1,
    memory_mb: 128,
    power: 'running',
    reboot: { soft: 0, hard: 0 },
    disks: [rootDisk(null)],
    nics: [],
    config_drive: false,
    hardware: {},
    metadata: {
      uuid: id,
      name,
      hostname: `${name}.novalocal`,
      project_id: 'b3c1d5a0000000000000000000000001',
      availability_zone: 'nova',
      launch_index: 0,
      meta: {},
      keys: [],
      user_data: null,
      admin_pass: null,
      instance_type: 'm1.tiny',
      image_id: null,
      security_groups: ['default'],
      networks: [],
    },
    ...given,
  };
}

/** A root disk, empty or of an image. */
export function rootDisk(image: ImageRef | null, bytes = 64 << 20): DiskBody {
  return {
    role: 'root',
    device: 'vda',
    bus: 'virtio',
    size_bytes: bytes,
    image,
    volume_id: null,
    boot_index: 1,
  };
}

/** A spec with these servers. */
export function specOf(...servers: readonly ServerObject[]): Spec {
  return Object.fromEntries(
    servers.map((server) => [objectKey('server', server.id), specObject<'server'>(server)]),
  );
}

/** A spec that has this server destroyed. */
export function tombstone(server: ServerObject): Spec {
  return { [objectKey('server', server.id)]: specObject<'server'>(server, true) };
}

/** A reference to an image file, and the function that opens it. */
export async function imageOf(file: string, disk_format: ImageRef['disk_format']) {
  const id = randomUUID();
  const image: ImageRef = {
    id,
    disk_format,
    size: (await stat(file)).size,
    sha512: createHash('sha512')
      .update(await readFile(file))
      .digest('hex'),
  };
  return { image, open: () => createReadStream(file) };
}

/** A logger that keeps its lines. */
export function memoryLog(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  return Object.assign(
    createLogger('debug', {}, (line) => lines.push(line)),
    { lines },
  );
}

/** A subnet with DHCP, its gateway at the first address. */
export function subnet(cidr: string, given: Partial<SubnetBody> = {}): SubnetBody {
  return {
    id: randomUUID(),
    ip_version: 4,
    cidr,
    gateway_ip: cidr.replace(/\d+\/\d+$/, '1'),
    dns_nameservers: [],
    host_routes: [],
    enable_dhcp: true,
    ipv6_ra_mode: null,
    ipv6_address_mode: null,
    ...given,
  };
}

const ROOT = new URL('../..', import.meta.url).pathname;

/** The tiny image, built first where this checkout has none; takes a while then. */
export function tinyImageFile(): string {
  const file = `${ROOT}build/images/tiny.qcow2`;
  execFileSync(`${ROOT}scripts/build-tiny-image`, ['--output', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}
