import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RealHost } from '../../agents/host/real.js';
import { SpecStore } from '../../agents/spec-store.js';
import { checkSpecPush } from '../../agents/transport/validate.js';
import { specDigest, specObject } from '../../src/protocol/keys.js';
import type { SpecPush } from '../../src/protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../../src/protocol/objects.js';

const object = (n: number): SpecObject => specObject<'port'>({ id: `${n}` } as never);
const push = (changes: Partial<SpecPush>): SpecPush => ({
  protocol: 1,
  incarnation: 'one',
  sequence: 1,
  base: null,
  changed: {},
  removed: [],
  request_ids: [],
  ...changes,
});

describe('SpecStore', () => {
  let directory: string;
  let store: SpecStore;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'maru-spec-'));
    store = new SpecStore(new RealHost(), directory, 0.5);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('keeps what it took on disk before it answers, readable to nobody else', async () => {
    const outcome = await store.take(push({ changed: { 'port/a': object(1) } }));
    expect(outcome).toEqual({ taken: true, keys: new Set(['port/a']) });
    expect(statSync(join(directory, 'spec.json')).mode & 0o777).toBe(0o600);
    const again = new SpecStore(new RealHost(), directory, 0.5);
    expect(await again.load()).toBeNull();
    expect(again.held).toEqual(store.held);
  });

  it('applies changes to the base they name and no other', async () => {
    await store.take(push({ changed: { 'port/a': object(1), 'port/b': object(2) } }));
    const { digest } = store.held;
    const next = push({ sequence: 2, base: digest, changed: { 'port/b': object(3) }, removed: ['port/a'] });
    expect(await store.take({ ...next, base: 'another' })).toMatchObject({
      taken: false,
      refusal: { reason: 'base', sequence: 1, digest },
    });
    expect(await store.take(next)).toEqual({ taken: true, keys: new Set(['port/a', 'port/b']) });
    expect(store.held.digest).toBe(specDigest({ 'port/b': object(3) }));
  });

  it('keeps the settings that came with a push, and counts them into the digest', async () => {
    const spec = { 'port/a': object(1) };
    const settings = { observe_only: true, drift: { server: 'report' } } as const;
    await store.take(push({ changed: spec, settings }));
    expect(store.held).toMatchObject({ settings, digest: specDigest(spec, settings) });
    expect(store.held.digest).not.toBe(specDigest(spec));
    const again = new SpecStore(new RealHost(), directory, 0.5);
    await again.load();
    expect(again.held).toEqual(store.held);
    await again.take(push({ sequence: 2, base: again.held.digest }));
    expect(again.held.digest).toBe(specDigest(spec));
  });

  it('refuses what is older than what it holds, unless the incarnation is another', async () => {
    await store.take(push({ sequence: 5, changed: { 'port/a': object(1) } }));
    expect(await store.take(push({ sequence: 5 }))).toMatchObject({
      refusal: { reason: 'stale', sequence: 5 },
    });
    expect(
      await store.take(push({ sequence: 1, incarnation: 'two', base: store.held.digest })),
    ).toMatchObject({
      refusal: { reason: 'base' },
    });
    expect(await store.take(push({ sequence: 1, incarnation: 'two' }))).toMatchObject({ taken: true });
  });

  it('takes pushes that arrive together one after another', async () => {
    const [first, second] = await Promise.all([
      store.take(push({ sequence: 1, changed: { 'port/a': object(1) } })),
      store.take(push({ sequence: 2, changed: { 'port/b': object(1) } })),
    ]);
    expect([first.taken, second.taken]).toEqual([true, true]);
    expect(Object.keys(store.held.spec)).toEqual(['port/b']);
  });

  it('guards against the destruction of most guests, not against that of a few', async () => {
    const guests = (count: number, dead: number): Spec =>
      Object.fromEntries(
        Array.from({ length: count }, (_, n) => [
          `server/${n}` as ObjectKey,
          specObject<'server'>({ id: `${n}` } as never, n < dead),
        ]),
      );
    await store.take(push({ sequence: 1, changed: guests(10, 0) }));
    expect((await store.take(push({ sequence: 2, changed: guests(10, 10) }))).taken).toBe(true);
    await store.take(push({ sequence: 3, changed: guests(30, 0) }));
    expect(await store.take(push({ sequence: 4, changed: guests(30, 16) }))).toMatchObject({
      refusal: { reason: 'removal', message: expect.stringContaining('16 of 30') },
    });
    expect((await store.take(push({ sequence: 4, changed: guests(30, 15) }))).taken).toBe(true);
    expect((await store.take(push({ sequence: 5, changed: guests(30, 30), confirmed: true }))).taken).toBe(
      true,
    );
  });

  it('says what is wrong with a damaged file and starts without a spec', async () => {
    writeFileSync(join(directory, 'spec.json'), '{"incarnation":"one","seq');
    expect(await store.load()).toMatch(/spec.json: /);
    expect(store.held.incarnation).toBeNull();
    await store.take(push({ changed: { 'port/a': object(1) } }));
    expect(JSON.parse(readFileSync(join(directory, 'spec.json'), 'utf8')).sequence).toBe(1);
  });
});

describe('checkSpecPush', () => {
  it('accepts a push and names what is wrong with others', () => {
    expect(checkSpecPush(push({ changed: { 'port/a': object(1) } }))).toBeNull();
    const wrong: [unknown, RegExp][] = [
      [null, /object/],
      [push({ protocol: 9 }), /protocol 9/],
      [push({ incarnation: '' }), /incarnation/],
      [push({ sequence: 0 }), /sequence/],
      [push({ base: 1 as never }), /base/],
      [push({ removed: ['nonsense/x' as never] }), /removed/],
      [push({ changed: { 'nonsense/x': object(1) } as never }), /not a key/],
      [push({ changed: { 'port/x': { revision: 'r' } } as never }), /body/],
      [push({ changed: { 'port/x': { ...object(1), tombstone: false } } as never }), /tombstone/],
      [push({ request_ids: [1] as never }), /request_ids/],
    ];
    for (const [value, message] of wrong) expect(checkSpecPush(value)).toMatch(message);
  });
});

describe('a disk that is full', () => {
  it('refuses pushes with a clear error, keeps what is held, and takes them again afterwards', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'maru-spec-'));
    try {
      const files = new RealHost();
      const write = files.writeFile.bind(files);
      const store = new SpecStore(files, directory, 0.5);
      await store.take(push({ changed: { 'port/a': object(1) } }));
      const { held } = store;
      files.writeFile = async (path) => {
        throw Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), {
          code: 'ENOSPC',
        });
      };
      const next = push({ sequence: 2, changed: { 'port/b': object(2) } });
      await expect(store.take(next)).rejects.toThrow(
        /spec\.json cannot be written.*ENOSPC.*free space on the file system of/s,
      );
      expect(store.held).toEqual(held);
      const successor = new SpecStore(new RealHost(), directory, 0.5);
      expect(await successor.load()).toBeNull();
      expect(successor.held.digest).toBe(held.digest);
      files.writeFile = write;
      expect(await store.take(next)).toMatchObject({ taken: true });
      expect(Object.keys(store.held.spec)).toEqual(['port/b']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
