import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogFile } from '../../src/protocol/log-file.js';

const disk = vi.hoisted(() => ({ full: false, refused: 0 }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const openSync: typeof fs.openSync = (...args) => {
    if (!disk.full) return fs.openSync(...args);
    disk.refused++;
    throw new Error('ENOSPC: no space left on device');
  };
  return { ...fs, openSync };
});

/** A disk that has room for lines, but for no other file. */
describe('a log file on a full disk', () => {
  let directory: string;
  let said: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'maru-log-'));
    said = '';
    disk.refused = 0;
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });
  afterEach(() => {
    disk.full = false;
    vi.restoreAllMocks();
    rmSync(directory, { recursive: true, force: true });
  });

  it('loses nothing that it has, tries rarely, and goes on when there is room', () => {
    const path = join(directory, 'maru.log');
    const log = new LogFile({ path, maxBytes: 100, kept: 2 });
    const text = (n: number) => `line ${String(n).padStart(4, '0')}\n`;
    const write = (from: number, to: number) => {
      for (let n = from; n < to; n++) log.write(text(n));
    };
    const kept = () =>
      readdirSync(directory)
        .sort()
        .reverse()
        .map((name) => readFileSync(join(directory, name), 'utf8'))
        .join('');
    write(0, 25);
    const before = kept();
    expect(before.split('\n').length).toBe(26);
    disk.full = true;
    write(25, 55);
    expect(kept()).toBe(before + Array.from({ length: 30 }, (_, i) => text(25 + i)).join(''));
    expect(disk.refused).toBe(3);
    expect(said).toBe(`${path}: ENOSPC: no space left on device\n`.repeat(3));
    disk.full = false;
    write(55, 70);
    expect(readdirSync(directory).sort()).toEqual(['maru.log', 'maru.log.1', 'maru.log.2']);
    expect(kept()).toContain(text(69));
    log.close();
  });
});
