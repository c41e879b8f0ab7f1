import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { describe as describeAction, machine } from '../../scripts/install.d/actions.js';
import { CONFIG } from '../../scripts/install.d/layout.js';
import type { InstallOptions } from '../../scripts/install.d/options.js';
import { tlsStep } from '../../scripts/install.d/tls.js';
import { issueServer, makeAuthority } from '../../src/api/server-certificate.js';

const OPTIONS = { role: 'controller', dryRun: false, packages: true, address: '192.0.2.1' } as const;

/** What the step would do on a machine that has these files. */
async function said(files: Record<string, string>, options: InstallOptions = OPTIONS): Promise<string[]> {
  const found = { size: 1, mtimeMs: 0, isDirectory: false, ino: 1, mode: 0o644 };
  vi.spyOn(machine, 'stat').mockImplementation(async (path) => (path in files ? found : null));
  vi.spyOn(machine, 'readFileIfExists').mockImplementation(async (path) => files[path] ?? null);
  vi.spyOn(machine, 'readFile').mockImplementation(async (path) => files[path] ?? '');
  vi.spyOn(machine, 'read').mockImplementation(async (_, args) => ({
    stdout: args.at(-1) === '/etc/maru/tls' ? '755 root:root' : '644 root:root',
    stderr: '',
    exitCode: 0,
  }));
  return await Promise.all((await tlsStep(options).look()).map(describeAction));
}

afterEach(() => void vi.restoreAllMocks());

it('the authority and what it signs are made where the controller can renew them, once', async () => {
  expect((await said({}))[0]).toMatch(
    /^make a certificate \/var\/lib\/maru\/tls\/api\.pem for 192\.0\.2\.1, /,
  );
  const elsewhere = { [CONFIG]: 'controller:\n  state_dir: /srv/maru\n' };
  expect((await said(elsewhere, { ...OPTIONS, tls: 'own' }))[0]).toMatch(/\/srv\/maru\/tls\/api\.pem for/);
  const authority = await makeAuthority('x');
  const names = ['192.0.2.1', (await import('node:os')).hostname().split('.')[0]!, 'localhost', '127.0.0.1'];
  const pair = await issueServer(authority, names);
  const made = {
    '/var/lib/maru/tls/ca.pem': authority.certificate,
    '/var/lib/maru/tls/ca.key': authority.key,
    '/var/lib/maru/tls/api.pem': pair.certificate,
    '/var/lib/maru/tls/api.key': pair.key,
    '/etc/maru/tls/ca.pem': authority.certificate,
  };
  expect(await said(made)).toEqual([]);
  const other = { ...OPTIONS, address: '192.0.2.9' };
  expect((await said(made, other))[0]).toMatch(/\(it is not valid for 192\.0\.2\.9\)/);
  // an authority that is about to end is replaced, since what it signs ends with it
  const ending = await makeAuthority('x', 30 * 86_400_000);
  const old = {
    ...made,
    '/var/lib/maru/tls/ca.pem': ending.certificate,
    '/var/lib/maru/tls/ca.key': ending.key,
  };
  expect((await said(old))[0]).toMatch(/\(its authority: it ends on /);
});

it('a key that an earlier version left with root alone is taken away once the controller has it', async () => {
  const authority = await makeAuthority('x');
  const former = { '/etc/maru/tls/ca.pem': authority.certificate, '/etc/maru/tls/ca.key': authority.key };
  expect(await said(former)).toEqual([
    expect.stringMatching(/^make a certificate \/var\/lib\/maru\/tls\/api\.pem/),
    'remove /etc/maru/tls/ca.key',
  ]);
});

it('what an operator has given, or done without, stays as it is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'maru-given-'));
  try {
    await writeFile(join(directory, 'api.pem'), 'x');
    const given = `controller:\n  listen: 0.0.0.0:5000\n  tls_cert_file: ${directory}/api.pem\n`;
    expect(await said({ [CONFIG]: given })).toEqual([]);
    expect(await said({ [CONFIG]: 'controller:\n  listen: 0.0.0.0:5000\n' })).toEqual([]);
    expect(await said({}, { ...OPTIONS, tls: 'none' })).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
