import { describe, expect, it } from 'vitest';
import { Reconciler } from '../../agents/reconciler.js';
import { SpecStore } from '../../agents/spec-store.js';
import { specObject } from '../../src/protocol/keys.js';
import { createLogger } from '../../src/protocol/log.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, PortObject, Spec } from '../../src/protocol/objects.js';
import { idlePart, MemoryPart, until } from '../support/hosts/harness.js';

const KEY: ObjectKey = 'port/1';
const object = specObject({ id: '1' } as PortObject);

describe('what leaves a spec', () => {
  it('is reported as gone by the next agent too, until the controller knows', async () => {
    const disk = new Map<string, string>();
    const files = {
      readFileIfExists: async (path: string) => disk.get(path) ?? null,
      writeFile: async (path: string, content: string | Uint8Array) => void disk.set(path, String(content)),
      makeDirectory: async () => {},
      removeFile: async (path: string) => void disk.delete(path),
      rename: async (from: string, to: string) => {
        disk.set(to, disk.get(from)!);
        disk.delete(from);
      },
    };
    const store = async () => {
      const specs = new SpecStore(files, '/state', 0.5);
      await specs.load();
      return specs;
    };
    let sequence = 0;
    const push = (spec: Spec) => ({
      protocol: 1,
      incarnation: 'one',
      sequence: ++sequence,
      base: null,
      changed: spec,
      removed: [],
      request_ids: [],
    });
    const first = await store();
    await first.take(push({ [KEY]: object }));
    await first.take(push({}));
    const second = await store();
    expect(second.held.leaving).toEqual([KEY]);
    second.toldGone([KEY]);
    await second.take(push({}));
    expect((await store()).held.leaving).toEqual([]);
    await second.take(push({ [KEY]: object }));
    await second.take(push({}));
    await second.take(push({ [KEY]: object }));
    expect((await store()).held.leaving).toEqual([]);
  });

  it('is reported as gone although everything is looked at in the same moment', async () => {
    let spec: Spec = { [KEY]: object };
    const reports: ObjectReport[] = [];
    const network = new MemoryPart('network', ['port']);
    // as the real part: a run for everything tells of what is in the spec
    const apply = network.apply.bind(network);
    network.apply = async (request) => {
      const told = await apply(request);
      return request.changed ? told : told.filter(({ key }) => request.spec[key]);
    };
    const reconciler = new Reconciler({
      parts: {
        network,
        storage: idlePart('storage'),
        compute: idlePart('compute'),
        metadata: idlePart('metadata'),
      },
      spec: () => spec,
      report: (report) => reports.push(report),
      log: createLogger('error', {}, () => {}),
      retryMs: 20,
    });
    await reconciler.fullSync();
    let go = () => {};
    network.gate = () => new Promise((resolve) => (go = resolve));
    const busy = reconciler.changed([KEY]);
    await until('busy', () => network.calls.length === 2);
    spec = {};
    const everything = reconciler.fullSync();
    const leaving = reconciler.changed([KEY]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    network.gate = async () => {};
    go();
    await Promise.all([busy, everything, leaving]);
    expect(network.calls.slice(2, 4)).toEqual([null, [KEY]]);
    expect(reports.at(-1)).toMatchObject({ key: KEY, state: 'gone' });
    await reconciler.close();
  });
});
