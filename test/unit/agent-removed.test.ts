import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { composeParts } from '../../agents/compose.js';
import { FakeMachine } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import { Reconciler } from '../../agents/reconciler.js';
import { letGo, removedMarker } from '../../agents/removed.js';
import { SpecStore } from '../../agents/spec-store.js';
import { specObject } from '../../src/protocol/keys.js';
import { createLogger } from '../../src/protocol/log.js';
import type { SpecPush } from '../../src/protocol/messages.js';
import type { ObjectKey, PortObject, ServerObject, Spec } from '../../src/protocol/objects.js';
import { agentConfig } from '../support/hosts/agent-config.js';
import { exampleSpec, IMAGE, SERVER_ID } from '../support/hosts/example-spec.js';
import { idlePart, MemoryPart, until } from '../support/hosts/harness.js';

const log = createLogger('error', {}, () => {});
const server = (id: string) => specObject({ id, disks: [], nics: [] } as unknown as ServerObject);

/** Guests that run until they are ended, but for those that cannot be. */
class Guests extends MemoryPart {
  readonly stubborn = new Set<string>();

  async letGo(): Promise<readonly string[]> {
    const ended = [...this.present.keys()].filter((key) => !this.stubborn.has(key));
    for (const key of ended) this.present.delete(key);
    if (this.stubborn.size > 0) throw new Error('a guest cannot be ended');
    return ended;
  }
}

/** A host with a disk in memory that may refuse what is to be kept. */
async function removable(spec: Spec) {
  const disk = new Map<string, string>();
  const broken = { writing: false, renaming: false };
  const files = {
    readFileIfExists: async (path: string) => disk.get(path) ?? null,
    writeFile: async (path: string, content: string | Uint8Array) => {
      if (broken.writing) throw new Error('ENOSPC: no space left on device');
      disk.set(path, String(content));
    },
    makeDirectory: async () => {},
    removeFile: async (path: string) => void disk.delete(path),
    rename: async (from: string, to: string) => {
      if (broken.renaming) throw new Error('EIO: i/o error');
      disk.set(to, disk.get(from)!);
      disk.delete(from);
    },
  };
  const specs = new SpecStore(files, '/state', 1);
  const network = new MemoryPart('network', ['port']);
  const storage = new MemoryPart('storage', ['server']);
  const compute = new Guests('compute', ['server']);
  const parts = { network, storage, compute, metadata: idlePart('metadata') };
  const reconciler = new Reconciler({
    parts,
    spec: () => specs.held.spec,
    report: () => {},
    log,
    retryMs: 20,
  });
  const push = (changed: Spec, sequence: number): SpecPush => ({
    protocol: 1,
    incarnation: 'one',
    sequence,
    base: null,
    changed,
    removed: [],
    request_ids: [],
  });
  await specs.take(push(spec, 1));
  const options = { files, stateDir: '/state', specs, reconciler, parts: Object.values(parts), log };
  const removed = () => letGo(options, 'removed');
  return { disk, broken, files, specs, network, storage, compute, reconciler, push, removed };
}

describe('letting go of a host that was removed', () => {
  it('waits for what is under way, and starts no guest that waited for its turn', async () => {
    const keys = Array.from({ length: 20 }, (_, n): ObjectKey => `server/s${n}`);
    const host = await removable(Object.fromEntries(keys.map((key) => [key, server(key.slice(7))])));
    let go = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    host.storage.gate = () => gate;
    const sync = host.reconciler.fullSync();
    await until('busy', () => host.storage.calls.length === 16);
    let done = false;
    const removed = host.removed().then(() => (done = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(done).toBe(false);
    go();
    await Promise.all([removed, sync]);
    expect(host.compute.calls).toEqual([]);
    expect([...host.compute.present]).toEqual([]);
    await host.reconciler.close();
  });

  it('ends a guest that was being started in that moment', async () => {
    const host = await removable({ 'server/s1': server('s1') });
    let go = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    host.compute.gate = () => gate;
    const sync = host.reconciler.fullSync();
    await until('starting', () => host.compute.calls.length === 1);
    const removed = host.removed();
    await new Promise((resolve) => setTimeout(resolve, 50));
    go();
    await Promise.all([removed, sync]);
    expect([...host.compute.present]).toEqual([]);
    expect(JSON.parse(host.disk.get(removedMarker('/state'))!)).toMatchObject({ ended: ['server/s1'] });
    await host.reconciler.close();
  });

  it.each(['writing', 'renaming'] as const)(
    'goes on with a disk on which %s fails, and says so',
    async (what) => {
      const host = await removable({
        'server/s1': server('s1'),
        'port/p1': specObject({ id: 'p1' } as PortObject),
      });
      await host.reconciler.fullSync();
      host.broken[what] = true;
      await expect(host.removed()).rejects.toThrow(/ENOSPC|EIO/);
      expect([...host.compute.present, ...host.network.present]).toEqual([]);
      expect(host.specs.held.incarnation).toBeNull();
      expect(host.disk.has('/state/spec.json')).toBe(false);
      host.broken[what] = false;
      await host.removed();
      expect(host.disk.has(removedMarker('/state'))).toBe(true);
      await host.reconciler.close();
    },
  );

  it('takes the network down although a guest cannot be ended, and tries again', async () => {
    const host = await removable({
      'server/s1': server('s1'),
      'port/p1': specObject({ id: 'p1' } as PortObject),
    });
    await host.reconciler.fullSync();
    host.compute.stubborn.add('server/s1');
    await expect(host.removed()).rejects.toThrow('a guest cannot be ended');
    expect([...host.network.present]).toEqual([]);
    expect(host.disk.has(removedMarker('/state'))).toBe(false);
    host.compute.stubborn.clear();
    await host.removed();
    expect([...host.compute.present]).toEqual([]);
    await host.reconciler.close();
  });

  it('refuses a push that is under way, and every later one', async () => {
    const host = await removable({});
    let go = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const { writeFile } = host.files;
    host.files.writeFile = async (...args) => {
      await gate;
      await writeFile(...args);
    };
    const pending = host.specs.take(host.push({ 'server/s1': server('s1') }, 2));
    await Promise.resolve();
    const removed = host.removed();
    const queued = host.specs.take(host.push({ 'server/s1': server('s1') }, 3));
    go();
    const refused = {
      taken: false,
      refusal: { reason: 'removed', message: expect.stringMatching(/new token/) },
    };
    expect(await pending).toMatchObject(refused);
    expect(await queued).toMatchObject(refused);
    await removed;
    expect(host.specs.held.incarnation).toBeNull();
    expect(host.disk.has('/state/spec.json')).toBe(false);
    await host.reconciler.close();
  });
});

describe('the guests of a host that is let go of', () => {
  async function real() {
    const machine = new FakeMachine({ hostname: 'host1' });
    const host = new FakeHost(machine);
    const fetchImage = async () => Readable.from([IMAGE]);
    const parts = composeParts({
      host,
      config: agentConfig,
      virtType: 'qemu',
      bootId: 'boot',
      fetchImage,
      log,
    });
    const spec = exampleSpec(createHash('sha512').update(IMAGE).digest('hex'), IMAGE.length);
    return { machine, parts, spec };
  }

  it('are not started when that ends what they waited for', async () => {
    const { machine, parts, spec } = await real();
    const changed = new Set<ObjectKey>([`server/${SERVER_ID}`]);
    await parts.network.apply({ spec, changed: null });
    for (const key of Object.keys(spec).filter((one) => /^(server|volume)\//.test(one)) as ObjectKey[])
      await parts.storage.apply({ spec, changed: new Set([key]) });
    const running = () => [...machine.domains.values()].filter((domain) => domain.running).length;
    expect(await parts.compute.apply({ spec, changed, stillWanted: () => false })).toEqual([]);
    expect(running()).toBe(0);
    expect(await parts.compute.apply({ spec, changed, stillWanted: () => true })).toMatchObject([
      { state: 'applied' },
    ]);
    expect(running()).toBe(1);
    for (const part of Object.values(parts)) await part.close?.();
  });
});
