import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compareFormats, inspectImage } from '../../../src/core/image/inspect.js';

/** Images made by qemu-img itself, so that the layouts are QEMU's and not our idea of them. */
const directory = mkdtempSync(join(tmpdir(), 'maru-inspect-'));
afterAll(() => rmSync(directory, { recursive: true }));

function image(name: string, ...args: string[]): Buffer {
  const file = join(directory, name);
  execFileSync('qemu-img', ['create', '-q', ...args.slice(0, -1), file, args.at(-1)!], { cwd: directory });
  return readFileSync(file).subarray(0, 64 * 1024);
}

describe('inspectImage', () => {
  it('finds qcow2 and its virtual size', () => {
    expect(inspectImage(image('plain.qcow2', '-f', 'qcow2', '3G'))).toEqual({
      format: 'qcow2',
      virtualSize: 3 * 1024 ** 3,
      refusal: null,
    });
    expect(inspectImage(image('old.qcow2', '-f', 'qcow2', '-o', 'compat=0.10', '1G')).refusal).toBeNull();
  });

  it('refuses a backing file', () => {
    image('base.qcow2', '-f', 'qcow2', '1G');
    const head = image('overlay.qcow2', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', '1G');
    expect(inspectImage(head).refusal).toBe('Image has a backing file');
  });

  it('refuses an external data file', () => {
    const head = image('external.qcow2', '-f', 'qcow2', '-o', 'data_file=data.raw', '1M');
    expect(inspectImage(head).refusal).toBe('Image has an external data file');
  });

  it('refuses an external data file that is named only in an extension', () => {
    const head = Buffer.from(image('hidden.qcow2', '-f', 'qcow2', '-o', 'data_file=data2.raw', '1M'));
    head.writeBigUInt64BE(head.readBigUInt64BE(72) & ~4n, 72);
    expect(inspectImage(head).refusal).toBe('Image has an external data file');
  });

  it.each([
    ['vmdk', 'vmdk'],
    ['vdi', 'vdi'],
    ['vpc', 'vhd'],
    ['vhdx', 'vhdx'],
    ['qed', 'qed'],
  ])('recognises %s', (format, expected) => {
    expect(inspectImage(image(`x.${format}`, '-f', format, '8M')).format).toBe(expected);
  });

  it('recognises an ISO, and nothing in random bytes or a cut-off header', () => {
    const iso = Buffer.alloc(64 * 1024);
    iso.write('CD001', 0x8001);
    expect(inspectImage(iso).format).toBe('iso');
    expect(inspectImage(Buffer.from('hello')).format).toBe('unknown');
    expect(inspectImage(Buffer.alloc(0)).format).toBe('unknown');
    expect(inspectImage(Buffer.from('QFI\xfb\0\0\0\x03', 'latin1')).refusal).toBe('qcow2 header is cut off');
  });

  it('never throws, whatever the bytes', () => {
    const head = image('fuzz.qcow2', '-f', 'qcow2', '1M');
    for (let at = 0; at < 512; at++) {
      const bytes = Buffer.from(head);
      bytes[at] = 0xff;
      expect(() => inspectImage(bytes)).not.toThrow();
      expect(() => inspectImage(head.subarray(0, at))).not.toThrow();
    }
  });
});

describe('compareFormats', () => {
  it('refuses a format that QEMU could probe behind raw', () => {
    writeFileSync(join(directory, 'random'), 'x');
    const qcow2 = inspectImage(image('behind-raw.qcow2', '-f', 'qcow2', '1M'));
    expect(compareFormats('raw', qcow2)).toMatchObject({ refuse: true });
    expect(compareFormats('qcow2', qcow2)).toBeNull();
    expect(compareFormats('raw', inspectImage(Buffer.from('data')))).toBeNull();
  });

  it('keeps unknown content but lets nothing boot from it', () => {
    expect(compareFormats('qcow2', inspectImage(Buffer.from('data')))).toMatchObject({ refuse: false });
    expect(compareFormats('vhd', inspectImage(Buffer.from('data')))).toMatchObject({ refuse: false });
  });
});
