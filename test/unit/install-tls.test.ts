import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { describe as describeAction, machine } from '../../scripts/install.d/actions.js';
import { configStep } from '../../scripts/install.d/config-file.js';
import { CONFIG } from '../../scripts/install.d/layout.js';
import type { InstallOptions } from '../../scripts/install.d/options.js';
import { runSteps } from '../../scripts/install.d/run-steps.js';
import { tlsStep } from '../../scripts/install.d/tls.js';
import { writablePaths, writableStep } from '../../scripts/install.d/writable.js';
import { issueServer, makeAuthority, problemOf } from '../../src/api/server-certificate.js';
import { foreignAuthority } from '../support/foreign-authority.js';

const OPTIONS = { role: 'controller', dryRun: false, packages: true, address: '192.0.2.1' } as const;

/** What the step would do on a machine that has these files. */
async function said(files: Record<string, string>, options: InstallOptions = OPTIONS): Promise<string[]> {
  onMachine(files);
  return await Promise.all((await tlsStep(options).look()).map(describeAction));
}

/** Modes and owners as they should be. */
function statOf(path: string): string {
  if (!/\.\w+$/.test(path)) return '755 root:root';
  if (path === CONFIG) return '640 root:maru';
  return path === '/etc/maru/tls/api.key' ? '640 root:maru' : '644 root:root';
}

/** Only these files are seen, and changed. */
function onMachine(files: Record<string, string>): void {
  const found = { size: 1, mtimeMs: 0, isDirectory: false, ino: 1, mode: 0o644 };
  vi.spyOn(machine, 'stat').mockImplementation(async (path) => (path in files ? found : null));
  vi.spyOn(machine, 'readFileIfExists').mockImplementation(async (path) => files[path] ?? null);
  vi.spyOn(machine, 'readFile').mockImplementation(async (path) => files[path] ?? '');
  vi.spyOn(machine, 'read').mockImplementation(async (command, args) => ({
    stdout: command === 'stat' ? statOf(args.at(-1) ?? '') : '',
    stderr: '',
    exitCode: 0,
  }));
  vi.spyOn(machine, 'writeFile').mockImplementation(async (path, content) => {
    files[path] = String(content);
  });
  vi.spyOn(machine, 'removeTree').mockImplementation(async (path) => {
    delete files[path];
  });
  vi.spyOn(machine, 'makeDirectory').mockResolvedValue();
  vi.spyOn(machine, 'chmod').mockResolvedValue();
  vi.spyOn(machine, 'run').mockResolvedValue({ stdout: '', stderr: '', exitCode: 0 });
}

/** The steps that have to do with it, in the order of an installation; gives what was said. */
async function installed(files: Record<string, string>, options: InstallOptions, dryRun = false) {
  onMachine(files);
  const said: string[] = [];
  const steps = [configStep(options), writableStep(['maru-controller.service']), tlsStep(options)];
  await runSteps(steps, { dryRun, print: (line) => void said.push(line) });
  return said;
}

/** A machine on which an earlier version has made everything in /etc/maru/tls. */
async function formerMachine(): Promise<Record<string, string>> {
  const authority = await makeAuthority('x');
  const pair = await issueServer(authority, ['192.0.2.1']);
  return {
    [CONFIG]:
      'controller:\n  listen: 0.0.0.0:5000\n  tls_cert_file: /etc/maru/tls/api.pem\n  tls_key_file: /etc/maru/tls/api.key\n',
    '/etc/maru/tls/ca.pem': authority.certificate,
    '/etc/maru/tls/ca.key': authority.key,
    '/etc/maru/tls/api.pem': pair.certificate,
    '/etc/maru/tls/api.key': pair.key,
  };
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

describe('what an earlier version has made in /etc/maru/tls', () => {
  it.each([{}, { tls: 'own' as const }])('is moved, and no key stays there (%j)', async (more) => {
    const files = await formerMachine();
    const before = files['/etc/maru/tls/ca.pem'];
    const options = { ...OPTIONS, ...more };
    const removed = ['api.key', 'api.pem', 'ca.key'].map((name) => `remove /etc/maru/tls/${name}`);
    const would = await installed({ ...files }, options, true);
    expect(would.filter((line) => line.includes('remove'))).toEqual(
      removed.map((text) => `TLS: would ${text}`),
    );
    const done = await installed(files, options);
    expect(done.filter((line) => line.includes('remove'))).toEqual(removed.map((text) => `TLS: ${text}`));
    expect(Object.keys(files).filter((path) => path.startsWith('/etc/maru/tls/'))).toEqual([
      '/etc/maru/tls/ca.pem',
    ]);
    expect(files['/var/lib/maru/tls/ca.pem']).toBe(before);
    expect(files[CONFIG]).toMatch(/tls_key_file: \/var\/lib\/maru\/tls\/api.key\n/);
    expect(await installed(files, OPTIONS)).toEqual([]);
  });

  it('goes later where it has been forgotten; a given key, or one that is named, does not', async () => {
    const files = await formerMachine();
    await installed(files, OPTIONS);
    const [ca, key] = [files['/var/lib/maru/tls/ca.pem']!, files['/var/lib/maru/tls/ca.key']!];
    const left = await issueServer({ certificate: ca, key }, ['192.0.2.1']);
    const forget = ({ certificate, key }: typeof left) =>
      Object.assign(files, { '/etc/maru/tls/api.pem': certificate, '/etc/maru/tls/api.key': key });
    forget(left);
    expect(await installed(files, OPTIONS)).toEqual([
      'TLS: remove /etc/maru/tls/api.key',
      'TLS: remove /etc/maru/tls/api.pem',
    ]);
    const theirs = await foreignAuthority();
    forget(await issueServer(theirs, ['192.0.2.1']));
    files['/etc/maru/tls/ca.key'] = theirs.key;
    expect(await installed(files, OPTIONS)).toEqual([]);
    forget(left);
    files[CONFIG] = files[CONFIG]!.replace(/tls_key_file: .*/, 'tls_key_file: /etc/maru/tls/api.key');
    expect(await installed(files, OPTIONS)).toEqual([]);
  });

  it('has its authority taken away when another certificate is given; an operator’s authority stays', async () => {
    const theirs = await foreignAuthority();
    const pair = await issueServer(theirs, ['192.0.2.1']);
    const given = { '/root/api.pem': pair.certificate, '/root/api.key': pair.key };
    const options = { ...OPTIONS, tlsCert: '/root/api.pem', tlsKey: '/root/api.key' };
    const files: Record<string, string> = { ...(await formerMachine()), ...given };
    expect((await installed(files, options)).filter((line) => line.includes('remove'))).toEqual([
      'TLS: remove /etc/maru/tls/ca.key',
      'TLS: remove /etc/maru/tls/ca.pem',
    ]);
    expect(files['/etc/maru/tls/api.pem']).toBe(pair.certificate);
    const authority = { '/etc/maru/tls/ca.pem': theirs.certificate, '/etc/maru/tls/ca.key': theirs.key };
    expect(await installed(Object.assign(files, authority), options)).toEqual([]);
  });
});

describe('a given certificate beside an operator’s authority', () => {
  const given = (directory: string) =>
    `controller:\n  listen: 0.0.0.0:5000\n  tls_cert_file: ${directory}/api.pem\n  tls_key_file: ${directory}/api.key\n`;
  async function pki(directory: string, authority: { certificate: string; key: string }) {
    const pair = await issueServer(authority, ['192.0.2.1'], { lifetimeMs: 20 * 86_400_000 });
    return {
      [CONFIG]: given(directory),
      [`${directory}/ca.pem`]: authority.certificate,
      [`${directory}/ca.key`]: authority.key,
      [`${directory}/api.pem`]: pair.certificate,
      [`${directory}/api.key`]: pair.key,
    };
  }

  it('is not opened to the controller; that of ours is', async () => {
    onMachine(await pki('/srv/pki', await foreignAuthority()));
    expect(await writablePaths('maru-controller.service')).toEqual([]);
    onMachine(await pki('/srv/pki', await makeAuthority('x')));
    expect(await writablePaths('maru-controller.service')).toContainEqual(
      expect.objectContaining({ content: expect.stringContaining('ReadWritePaths="/srv/pki"') }),
    );
  });

  it('stays where ours would be, and nothing is ever made with that authority', async () => {
    const theirs = await foreignAuthority();
    expect(await said(await pki('/var/lib/maru/tls', theirs))).toEqual([]);
    await expect(said(await pki('/var/lib/maru/tls', theirs), { ...OPTIONS, tls: 'own' })).rejects.toThrow(
      /\/var\/lib\/maru\/tls\/ca.pem is an authority that was not made by maru install: move/,
    );
    // only the certificate is his, and beside it is what we have made before
    const files = await pki('/var/lib/maru/tls', theirs);
    const ours = await makeAuthority('x');
    files['/var/lib/maru/tls/ca.pem'] = ours.certificate;
    files['/var/lib/maru/tls/ca.key'] = ours.key;
    expect(await said(files)).toEqual([]);
    // in /etc, where earlier versions had theirs: not used, not removed
    const etc = { '/etc/maru/tls/ca.pem': theirs.certificate, '/etc/maru/tls/ca.key': theirs.key };
    const machineFiles: Record<string, string> = { ...etc };
    await installed(machineFiles, OPTIONS);
    expect(machineFiles['/var/lib/maru/tls/ca.key']).not.toBe(theirs.key);
    expect(machineFiles['/etc/maru/tls/ca.key']).toBe(theirs.key);
    const pair = {
      certificate: machineFiles['/var/lib/maru/tls/api.pem']!,
      key: machineFiles['/var/lib/maru/tls/api.key']!,
    };
    expect(problemOf(pair, ['192.0.2.1'])).toBeNull();
  });
});
