import { randomUUID } from 'node:crypto';
import { machine } from '../lab/commands.js';
import { enterHost } from '../lab/host.js';
import { type BenchLab, removeServer, timedServer } from './bench-lab.js';
import { median, type Result } from './results.js';

/** Extra seconds over the raw tools that a create may take. */
const MOST_EXTRA = 0.3;
const OPENSTACK_EXTRA = 3.5;

/**
 * POST /servers → ACTIVE, in turn with `qemu-img create` and `virsh create` of the same domain on the same host, so that
 * both meet the same load.
 */
export async function benchServerCreate(bench: BenchLab, runs: number): Promise<Result[]> {
  // the first of both warms caches: image on the host, libvirt's capabilities
  const warm = await timedServer(bench, 'bench-warm');
  const template = await domainXml(bench, warm.id);
  await rawCreate(bench, template);
  await removeServer(bench, warm.id);
  const ours: number[] = [];
  const raw: number[] = [];
  for (let run = 0; run < runs; run++) {
    const server = await timedServer(bench, `bench-${run}`);
    ours.push(server.seconds);
    await removeServer(bench, server.id);
    raw.push(await rawCreate(bench, template));
  }
  const extra = ours.map((seconds, run) => seconds - raw[run]!);
  return [
    {
      name: 'server create → ACTIVE',
      value: median(ours),
      baseline: median(raw),
      unit: 's',
      runs: ours,
      goal: `≤ raw + ${MOST_EXTRA} s`,
      met: median(extra) <= MOST_EXTRA,
    },
    {
      name: 'of which more than the raw tools',
      value: median(extra),
      unit: 's',
      openstack: OPENSTACK_EXTRA,
      runs: extra,
      goal: `≤ ${MOST_EXTRA} s`,
      met: median(extra) <= MOST_EXTRA,
    },
  ];
}

async function domainXml(bench: BenchLab, serverId: string): Promise<string> {
  return (await inHost(bench, ['virsh', 'dumpxml', '--inactive', serverId])).stdout;
}

/** One disk and one domain with the raw tools, in seconds; what was made is removed. */
async function rawCreate(bench: BenchLab, template: string): Promise<number> {
  const disk = /<source file='([^']+root[^']*)'/.exec(template)?.[1];
  const tap = /<target dev='(tap[^']+)'/.exec(template)?.[1];
  if (!disk || !tap) throw new Error(`no disk or tap in the domain:\n${template}`);
  const backing = JSON.parse(
    (
      await inHost(bench, ['qemu-img', 'info', '-U', '-f', 'qcow2', '--output=json', disk]).catch(() => ({
        stdout: '{}',
      }))
    ).stdout,
  ) as { 'backing-filename'?: string };
  base ??= backing['backing-filename'];
  if (!base) throw new Error(`${disk} has no backing file`);
  const rawDisk = '/var/lib/libvirt/bench.qcow2';
  const console = '/var/lib/libvirt/bench-console.log';
  const xml = template
    .replaceAll(disk, rawDisk)
    .replaceAll(tap, 'tapbench')
    .replace(/<name>[^<]*<\/name>/, '<name>bench-raw</name>')
    .replace(/<uuid>[^<]*<\/uuid>/, `<uuid>${randomUUID()}</uuid>`)
    .replace(/<entry name='uuid'>[^<]*<\/entry>/, '')
    .replace(/<log file='[^']*'/g, `<log file='${console}'`)
    .replace(/<source path='[^']*console[^']*'/g, `<source path='${console}'`);
  const file = `${bench.lab.directory}/bench-raw.xml`;
  await machine.writeFile(file, xml, 0o600);
  await inHost(bench, ['ip', 'tuntap', 'add', 'dev', 'tapbench', 'mode', 'tap', 'vnet_hdr']);
  try {
    const started = performance.now();
    await inHost(bench, [
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      base,
      '-F',
      'qcow2',
      rawDisk,
      '1G',
    ]);
    await inHost(bench, ['virsh', '-q', 'create', file]);
    const seconds = (performance.now() - started) / 1000;
    await inHost(bench, ['virsh', '-q', 'destroy', 'bench-raw']);
    return seconds;
  } finally {
    await inHost(bench, ['ip', 'link', 'delete', 'tapbench']);
    await inHost(bench, ['rm', '-f', rawDisk, console]);
    await machine.removeFile(file);
  }
}

/** The base image that the template's disk is an overlay of. */
let base: string | undefined;

async function inHost(bench: BenchLab, command: readonly string[]) {
  return await machine.run('nsenter', [...(await enterHost(bench.lab, 'host1')), ...command]);
}
