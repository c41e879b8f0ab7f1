import { mkdtemp, rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { probeVirtualisation } from '../../agents/compute/probe.js';
import { CommandError, type CommandOptions } from '../../agents/host/host.js';
import { RealHost } from '../../agents/host/real.js';

/** The machine, with another accelerator behind `-accel kvm`, or another end of the probe. */
class ProbeHost extends RealHost {
  accel = 'tcg';
  fails: Error | null = null;
  probes = 0;

  override async stat(path: string) {
    return path === '/dev/kvm'
      ? { size: 0, mtimeMs: 0, isDirectory: false, ino: 1, mode: 0o600 }
      : super.stat(path);
  }

  override read(command: string, args: readonly string[], options?: CommandOptions) {
    this.probes++;
    if (this.fails) return Promise.reject(this.fails);
    return super.read(
      command,
      args.map((arg) => (arg === 'kvm' ? this.accel : arg === 'host' ? 'max' : arg)),
      {
        ...options,
        timeoutMs: 60_000,
      },
    );
  }
}

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp('/tmp/maru-probe-');
});
afterEach(() => rm(stateDir, { recursive: true }));

const probe = (host: ProbeHost, bootId = 'a', override: 'auto' | 'kvm' | 'qemu' = 'auto') =>
  probeVirtualisation({ host, override, stateDir, bootId });

test('a guest that runs means KVM, and is asked once per boot', async () => {
  const host = new ProbeHost();
  expect(await probe(host)).toEqual({ type: 'kvm', reason: 'KVM probe guest ran', warnings: [] });
  expect((await probe(host)).type).toBe('kvm');
  expect(host.probes).toBe(1);
  await probe(host, 'b');
  expect(host.probes).toBe(2);
});

test('a guest that hangs means emulation, with a warning', async () => {
  const host = new ProbeHost();
  host.fails = new CommandError('qemu-system-x86_64', null, '', 'still running after 3000 ms, killed');
  const found = await probe(host);
  expect(found.type).toBe('qemu');
  expect(found.reason).toBe('KVM probe guest did not run within 3 s, although /dev/kvm opens');
  expect(found.warnings[0]).toContain('TCG');
});

test('an accelerator that cannot start means emulation', async () => {
  const host = new ProbeHost();
  host.accel = 'xen';
  expect((await probe(host)).type).toBe('qemu');
});

test('the configuration has the last word', async () => {
  const host = new ProbeHost();
  expect((await probe(host, 'a', 'kvm')).type).toBe('kvm');
  expect((await probe(host, 'a', 'qemu')).warnings).toHaveLength(1);
  expect(host.probes).toBe(0);
});
