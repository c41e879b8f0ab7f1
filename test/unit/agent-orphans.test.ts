import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { composeParts } from '../../agents/compose.js';
import { FakeMachine } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import { listOrphans, OrphanRefused, removeOrphan } from '../../agents/orphans.js';
import type { Part } from '../../agents/part.js';
import { Reconciler } from '../../agents/reconciler.js';
import { createLogger } from '../../src/protocol/log.js';
import { DEFAULT_SETTINGS, type ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../../src/protocol/objects.js';
import { agentConfig as config } from '../support/hosts/agent-config.js';
import { exampleSpec, IMAGE, SERVER_ID } from '../support/hosts/example-spec.js';

const STATE = '/var/lib/maru-agent';
const VOLUME_ID = '77770001-0000-4000-8000-000000000001';

describe('what a host has and its spec does not name', () => {
  let host: FakeHost;
  let parts: readonly Part[];
  let spec: Spec;
  let network: Part;

  /** A host on which one of everything was made, and on which others have put things too. */
  beforeEach(async () => {
    const machine = new FakeMachine({ hostname: 'host1' });
    host = new FakeHost(machine);
    const log = createLogger('error', {}, () => {});
    const composed = composeParts({
      host,
      config,
      virtType: 'qemu',
      bootId: 'boot',
      fetchImage: async () => Readable.from([IMAGE]),
      log,
    });
    network = composed.network;
    parts = Object.values(composed);
    spec = exampleSpec(createHash('sha512').update(IMAGE).digest('hex'), IMAGE.length);
    const reports = new Map<ObjectKey, ObjectReport>();
    const report = (one: ObjectReport) => void reports.set(one.key, one);
    const reconciler = new Reconciler({ parts: composed, spec: () => spec, report, log, retryMs: 20 });
    await reconciler.fullSync();
    await expect
      .poll(() => Object.keys(spec).every((key) => reports.get(key as ObjectKey)?.state === 'applied'))
      .toBe(true);
    await reconciler.close();
    for (const words of ['name virbr0 type bridge', 'name br-lan type bridge', 'name brq type bridge'])
      await host.run('ip', ['link', 'add', ...words.split(' ')]);
    await host.run('ip', ['tuntap', 'add', 'dev', 'vnet0', 'mode', 'tap', 'vnet_hdr']);
    await host.run('ip', ['netns', 'add', 'blue']);
    await host.writeFile(`${STATE}/volumes/notes.txt`, 'mine', 0o600);
    await host.makeDirectory(`${STATE}/servers/backup-of-monday`);
    await host.writeFile(
      '/root/foreign.xml',
      '<domain type="qemu"><name>pet</name><uuid>99990001-0000-4000-8000-000000000001</uuid></domain>',
      0o600,
    );
    await host.run('virsh', ['-c', config.libvirt_uri, 'define', '/root/foreign.xml']);
  });

  const named = async (of: Spec) =>
    (await listOrphans(parts, of)).map(({ kind, name }) => `${kind}/${name}`).sort();
  const without = (...kinds: string[]): Spec =>
    Object.fromEntries(Object.entries(spec).filter(([key]) => !kinds.includes(key.split('/')[0]!)));
  const holding = (of: Spec) => ({ incarnation: 'one', spec: of, settings: DEFAULT_SETTINGS });
  const remove = (of: Spec, kind: string, name: string, destroy_data = false) =>
    removeOrphan(parts, () => holding(of), { kind, name, destroy_data });

  it('is nothing where the spec names everything, whatever others have there', async () => {
    expect(await named(spec)).toEqual([]);
  });

  it('is listed completely where the spec names nothing, and nothing of others', async () => {
    const all = await listOrphans(parts, {});
    const kinds = new Map<string, number>();
    for (const { kind } of all) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    expect(Object.fromEntries(kinds)).toEqual({
      namespace: 2,
      // of the tenant network
      bridge: 1,
      vxlan: 1,
      // the guest's, the DHCP server's, and the router's two
      tap: 4,
      dnsmasq: 1,
      domain: 1,
      'server-disks': 1,
      'volume-file': 1,
    });
    expect(all.find(({ kind }) => kind === 'domain')).toMatchObject({
      object: `server/${SERVER_ID}`,
      detail: expect.stringContaining('running'),
    });
    const texts = all.map((orphan) => JSON.stringify(orphan)).join();
    for (const foreign of [
      'virbr0',
      'br-lan',
      '"brq"',
      'vnet0',
      'blue',
      'notes',
      'monday',
      '"pet"',
      '"name":"br-ex"',
    ])
      expect(texts).not.toContain(foreign);
  });

  it('does not go by being listed, and tombstones are no orphans', async () => {
    const before = host.changes.length;
    await listOrphans(parts, {});
    expect(host.changes.length).toBe(before);
    const key = `server/${SERVER_ID}` as const;
    const doomed: Spec = { ...spec, [key]: { ...spec[key]!, tombstone: true } };
    expect(await named(doomed)).toEqual([]);
  });

  it('goes when it is named: data only when that is said, what is in use only after its user', async () => {
    const rest = without('server', 'volume', 'port');
    const domain = (await listOrphans(parts, rest)).find(({ kind }) => kind === 'domain')!.name;
    const tap = (await named(rest)).find((name) => name.startsWith('tap/'))!.slice('tap/'.length);
    await expect(remove(rest, 'domain', domain)).rejects.toThrow(/holds data.*--destroy-data/);
    await expect(remove(rest, 'server-disks', SERVER_ID, true)).rejects.toThrow(/remove the domain first/);
    await expect(remove(rest, 'volume-file', VOLUME_ID, true)).rejects.toThrow(/remove the domain first/);
    await expect(remove(rest, 'tap', tap)).rejects.toThrow(/running guest holds/);
    // what a guest holds stays, so nothing is planned about it
    expect((await network.plan(rest)).filter(({ detail }) => detail.includes(`link del dev ${tap}`))).toEqual(
      [],
    );
    await remove(rest, 'domain', domain, true);
    await remove(rest, 'server-disks', SERVER_ID, true);
    await expect(remove(rest, 'volume-file', VOLUME_ID)).rejects.toThrow(OrphanRefused);
    await remove(rest, 'volume-file', VOLUME_ID, true);
    await remove(rest, 'tap', tap);
    expect(await named(rest)).toEqual([]);
    // the network part knows what went, and can go on
    const after = await network.apply({ spec: rest, changed: null });
    expect(after.filter(({ state }) => state === 'error')).toEqual([]);
    expect(await network.plan(rest)).toEqual([]);
    const pet = await host.read('virsh', ['-c', config.libvirt_uri, 'list', '--all', '--uuid', '--name']);
    expect(pet.stdout).toContain('pet');
  });

  it('is refused when the spec names it, when it is not there, and while the host only observes', async () => {
    const domain = (await listOrphans(parts, {})).find(({ kind }) => kind === 'domain')!.name;
    await expect(remove(spec, 'domain', domain, true)).rejects.toThrow(/no domain .* that no object names/);
    await expect(remove({}, 'domain', 'pet', true)).rejects.toThrow(OrphanRefused);
    await expect(remove({}, 'bridge', 'virbr0')).rejects.toThrow(OrphanRefused);
    await expect(remove({}, 'volume-file', '../../etc/passwd', true)).rejects.toThrow(OrphanRefused);
    const observing = { ...holding({}), settings: { ...DEFAULT_SETTINGS, observe_only: true } };
    await expect(
      removeOrphan(parts, () => observing, { kind: 'domain', name: domain, destroy_data: true }),
    ).rejects.toThrow(/only observes.*maru incarnation accept/);
  });

  it('is refused while no spec is held, and when the spec changes meanwhile', async () => {
    const domain = (await listOrphans(parts, {})).find(({ kind }) => kind === 'domain')!.name;
    const removal = { kind: 'domain', name: domain, destroy_data: true };
    const nothing = { ...holding({}), incarnation: null };
    await expect(removeOrphan(parts, () => nothing, removal)).rejects.toThrow(/holds no spec/);
    let held = holding({});
    const looks = parts.map((part) => {
      const { orphans } = part;
      if (!orphans) return part;
      const look = async (of: Spec) => {
        const found = await orphans.call(part, of);
        // a push arrives that names it
        held = holding(spec);
        return found;
      };
      return Object.create(part, { orphans: { value: look } }) as Part;
    });
    await expect(removeOrphan(looks, () => held, removal)).rejects.toThrow(/changed while/);
    expect(await named({})).toContain(`domain/${domain}`);
  });

  it('goes piece by piece where nothing is named at all', async () => {
    const order = ['domain', 'dnsmasq', 'namespace', 'tap', 'vxlan', 'bridge', 'server-disks', 'volume-file'];
    const bridge = (await listOrphans(parts, {})).find(({ kind }) => kind === 'bridge')!.name;
    await expect(remove({}, 'bridge', bridge)).rejects.toThrow(/is plugged into/);
    for (const kind of order) {
      // a pair goes with its namespace
      for (const { name } of (await listOrphans(parts, {})).filter((orphan) => orphan.kind === kind))
        await remove({}, kind, name, true);
    }
    expect(await named({})).toEqual([]);
  });

  it('is all ended when the host is let go of, and kept', async () => {
    const ended = await Promise.all(parts.map((part) => part.letGo?.() ?? []));
    expect(ended.flat()).toHaveLength(1);
    const kept = await listOrphans(parts, without('server', 'volume'));
    expect(kept.map(({ kind }) => kind).sort()).toEqual(['domain', 'server-disks', 'volume-file']);
    expect(kept.find(({ kind }) => kind === 'domain')?.detail).toContain('shutdown');
    expect((await Promise.all(parts.map((part) => part.letGo?.() ?? []))).flat()).toEqual([]);
  });
});
