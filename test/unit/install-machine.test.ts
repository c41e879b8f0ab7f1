import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { CommandError } from '../../agents/host/host.js';
import {
  type Action,
  describe as describeAction,
  machine,
  perform,
} from '../../scripts/install.d/actions.js';
import { cloudsStep } from '../../scripts/install.d/clouds.js';
import { configStep } from '../../scripts/install.d/config-file.js';
import { joinStep } from '../../scripts/install.d/join.js';
import { CLOUDS, CONFIG, UNITS } from '../../scripts/install.d/layout.js';
import { maskedConfig } from '../../scripts/install.d/masked.js';
import type { InstallOptions } from '../../scripts/install.d/options.js';
import { programStep } from '../../scripts/install.d/program-tree.js';
import { mountPoints, removeDirectory } from '../../scripts/install.d/removal.js';
import { dropIn, writablePaths } from '../../scripts/install.d/writable.js';

/** What the machine says to commands, by their words; anything else fails as on a machine that does not have it. */
function answering(answers: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}) {
  const found = { size: 1, mtimeMs: 0, isDirectory: false, ino: 1, mode: 0o644 };
  vi.spyOn(machine, 'stat').mockImplementation(async (path) => (path in files ? found : null));
  vi.spyOn(machine, 'read').mockImplementation(async (command, args) => {
    const words = [command, ...args].join(' ');
    const stdout = answers[words];
    if (stdout === undefined) throw new CommandError(words, 1, '', 'exit code 1');
    return { stdout, stderr: '', exitCode: 0 };
  });
  vi.spyOn(machine, 'readFileIfExists').mockImplementation(async (path) => files[path] ?? null);
}

const written = (actions: readonly Action[], path: string) =>
  actions.find((action) => action.do === 'write' && action.path === path) as
    | Extract<Action, { do: 'write' }>
    | undefined;

afterEach(() => void vi.restoreAllMocks());

const HOST = { role: 'host', dryRun: false, packages: true, address: '192.0.2.1' } as const;

describe('the configuration file', () => {
  it('stays readable for the controller when a host is installed on its machine', async () => {
    const files = { [CONFIG]: 'controller:\n  listen: 192.0.2.1:5000\n' };
    answering({ 'getent group maru': 'maru:x:998:\n' }, files);
    expect(written(await configStep(HOST).look(), CONFIG)?.owner).toBe('root:maru');
    answering({}, {});
    expect(written(await configStep(HOST).look(), CONFIG)?.owner).toBe('root:root');
    expect(written(await configStep({ ...HOST, role: 'controller' }).look(), CONFIG)?.owner).toBe(
      'root:maru',
    );
  });
});

describe('the configuration as a dry run shows it', () => {
  const secrets = `controller:
  # database_password: old-secret
  database: postgres://maru:url-secret@db/maru
  database_password: 'plain-secret # still'
  listen: 0.0.0.0:5000
  database_pasword_: x
agent:
  join_secret: |
    block-secret
    more-secret
  token: &t anchored-secret
  name: alpha
`;

  it('has no secret, in what changes or around it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'maru-masked-'));
    const path = `${directory}/maru.yaml`;
    try {
      await writeFile(path, secrets, { mode: 0o600 });
      const content = secrets.replace('5000', '6000');
      const action = { do: 'write', path, content, mode: 0o640, shown: maskedConfig } as const;
      const text = await describeAction(action);
      expect(text).toContain('-  listen: 0.0.0.0:5000\n+  listen: 0.0.0.0:6000\n');
      expect(text).toContain('   database: postgres://maru:***@db/maru\n   database_password: ***\n');
      expect(text).not.toContain('secret #');
      expect(text.replaceAll('join_secret', '')).not.toMatch(/secret/);
      await rm(path);
      const fresh = await describeAction(action);
      expect(fresh).toContain('+  name: alpha');
      expect(fresh.replaceAll('join_secret', '')).not.toMatch(/secret/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('masks what an alias stands for, and leaves names of files and empty values', () => {
    const text = 'x: &p "quoted one"\ncontroller: {database_password: *p, database_password_file: /a}\n';
    expect(maskedConfig(text)).toBe(
      'x: &p ***\ncontroller: {database_password: *p, database_password_file: /a}\n',
    );
    const twice = 'a: {secret: &s one, password: *s}\nsecrets: {password: x, more: y}\nz: end\n';
    expect(maskedConfig(twice)).toBe('a: {secret: &s ***, password: *s}\nsecrets: ***\nz: end\n');
    const empty = 'controller:\n  database_password:\n  region: North\n';
    expect(maskedConfig(empty)).toBe(empty);
  });

  it('is masked where the installer writes it', async () => {
    answering({}, { [CONFIG]: 'controller:\n  database_password: hunter2\n' });
    const action = written(await configStep({ ...HOST, role: 'controller' }).look(), CONFIG);
    expect(action?.content).toContain('hunter2');
    expect(action?.shown?.(action.content)).not.toContain('hunter2');
  });
});

describe('on a machine that is reached over IPv6', () => {
  const all = { ...HOST, role: 'all-in-one', address: '2001:db8::2' } as const;
  const valuesOf = async (options: InstallOptions) =>
    parse(written(await configStep(options).look(), CONFIG)?.content ?? '') as Record<
      'controller' | 'agent',
      Record<string, unknown>
    >;

  it('the API, the controller and the agent listen on IPv6 too', async () => {
    answering({});
    const { controller, agent } = await valuesOf(all);
    expect(controller).toMatchObject({
      listen: '[::]:5000',
      agent_listen: '[::]:5443',
      public_url: 'https://[2001:db8::2]:5000',
      overlay_ip_version: 6,
      agent_names: expect.arrayContaining(['2001:db8::2']),
    });
    expect(agent).toMatchObject({ listen: '[::]:5444', underlay_ip: '2001:db8::2' });
    expect((await valuesOf({ ...all, apiPort: 8443 })).controller.listen).toBe('[::]:8443');
    const { controller: four, agent: host } = await valuesOf({ ...all, address: '192.0.2.1' });
    expect(four.listen).toBe('0.0.0.0:5000');
    expect('agent_listen' in four || 'overlay_ip_version' in four || 'listen' in host).toBe(false);
  });

  it('also where only the name of its address is given, and IPv6 is all it has', async () => {
    const routes = JSON.stringify([{ dev: 'eth0', prefsrc: '2001:db8::2' }]);
    answering({ 'ip -4 -j route show default': '[]', 'ip -6 -j route show default': routes });
    const { controller, agent } = await valuesOf({ ...all, address: 'cloud.example.org' });
    expect(controller).toMatchObject({ listen: '[::]:5000', public_url: 'https://cloud.example.org:5000' });
    expect(agent).toMatchObject({ listen: '[::]:5444', underlay_ip: '2001:db8::2' });
  });

  it('what listens on every IPv4 address changes when an IPv6 address is given, and nothing else does', async () => {
    const before =
      'controller:\n  listen: 0.0.0.0:6000\n  agent_listen: 192.0.2.1:6443\nagent:\n  listen: 0.0.0.0:6444\n';
    answering({}, { [CONFIG]: before });
    const { controller, agent } = await valuesOf(all);
    expect(controller).toMatchObject({ listen: '[::]:6000', agent_listen: '192.0.2.1:6443' });
    expect(agent.listen).toBe('[::]:6444');
  });
});

describe('what the configuration puts elsewhere', () => {
  const DROP_IN = '/etc/systemd/system/maru-controller.service.d/paths.conf';
  const elsewhere = `controller:
  state_dir: /srv/maru/state
  image_dir: /srv/maru
  database: sqlite:/srv/db 1/maru.db
  log_file: /var/lib/maru/log
agent:
  state_dir: /srv/agent
  log_file: /run/log/agent.log
`;

  it('is open in the sandbox of its unit, and there', async () => {
    answering({ 'getent passwd maru': 'maru:x' }, { [CONFIG]: elsewhere, '/srv/db 1': '' });
    const actions = await writablePaths(UNITS.controller);
    expect(written(actions, DROP_IN)?.content).toMatch(
      /\n\[Unit\]\nRequiresMountsFor="\/srv\/db 1"\nRequiresMountsFor="\/srv\/maru"\n\n\[Service\]\nReadWritePaths="\/srv\/db 1"\nReadWritePaths="\/srv\/maru"\n$/,
    );
    const owner = 'maru:maru';
    expect(actions).toContainEqual({ do: 'directory', path: '/srv/maru', mode: 0o750, owner });
    expect(actions).toContainEqual({ do: 'directory', path: '/srv/maru/state', mode: 0o750, owner });
    const warned = actions.filter((action) => action.do === 'warn');
    expect(warned).toEqual([{ do: 'warn', text: expect.stringMatching(/user maru may not write there/) }]);
    const agent = await writablePaths(UNITS.agent);
    expect(agent).toEqual([
      { do: 'directory', path: '/srv/agent', mode: 0o711 },
      expect.objectContaining({ do: 'write', content: dropIn(['/srv/agent']) }),
    ]);
  });

  it('is not when it is where units write anyway, or nothing may be written', async () => {
    answering({}, { [CONFIG]: 'controller:\n  region: North\n' });
    expect(await writablePaths(UNITS.controller)).toEqual([]);
    expect(await writablePaths(UNITS.agent)).toEqual([]);
    expect(await writablePaths(UNITS.bridgeRevert)).toEqual([]);
    for (const [path, said] of [
      ['/home/maru', /sandbox hides/],
      ['/run/user/1/x', /sandbox hides/],
      ['/', /must not be able to change/],
      ['/usr/local/maru', /must not be able to change/],
    ] as const) {
      answering({}, { [CONFIG]: `agent:\n  state_dir: ${path}\n` });
      expect(await writablePaths(UNITS.agent)).toEqual([{ do: 'warn', text: expect.stringMatching(said) }]);
    }
  });

  it('is no longer open when the configuration does not name it any more', async () => {
    answering({}, { [DROP_IN]: '' });
    vi.spyOn(machine, 'listDirectory').mockResolvedValue(['paths.conf']);
    const directory = '/etc/systemd/system/maru-controller.service.d';
    expect(await writablePaths(UNITS.controller)).toEqual([{ do: 'remove', path: directory }]);
    vi.spyOn(machine, 'listDirectory').mockResolvedValue(['mine.conf', 'paths.conf']);
    expect(await writablePaths(UNITS.controller)).toEqual([{ do: 'remove', path: DROP_IN }]);
  });

  it('is where the password and the identity are looked for', async () => {
    const files = {
      [CONFIG]: elsewhere,
      '/srv/maru/state/admin-password': 'pw\n',
      '/srv/agent/identity.json': '',
    };
    answering({}, files);
    expect(written(await cloudsStep().look(), CLOUDS)?.content).toMatch(/password: pw\n/);
    const none = async () => undefined;
    const step = joinStep('host', none, async () => '');
    expect(await step.look()).toEqual([]);
  });
});

it('a copied program is on the disk before it is said to be there and takes its name', async () => {
  answering({}, { '/usr/lib/maru': '' });
  const done: string[] = [];
  vi.spyOn(machine, 'run').mockImplementation(async (command, args) => {
    done.push(`${command} ${args.at(-1)}`);
    return { stdout: '', stderr: '', exitCode: 0 };
  });
  for (const name of ['removeTree', 'makeDirectory', 'writeFile', 'rename'] as const)
    vi.spyOn(machine, name).mockImplementation(async (path: string) => void done.push(`${name} ${path}`));
  const [copy] = await programStep().look();
  expect(copy).toMatchObject({ do: 'call', say: expect.stringMatching(/^copy the program/) });
  if (copy) await perform(copy);
  const fresh = '/usr/lib/maru.new';
  const last = done.findLastIndex((one) => /^(cp|chmod|chown) /.test(one));
  expect(last).toBeGreaterThan(0);
  expect(done.slice(last + 1)).toEqual([
    `sync ${fresh}`,
    `writeFile ${fresh}/.digest`,
    'removeTree /usr/lib/maru.old',
    'rename /usr/lib/maru',
    `rename ${fresh}`,
    'removeTree /usr/lib/maru.old',
  ]);
});

describe('removing a directory for good', () => {
  const MOUNTINFO = '/proc/self/mountinfo';
  const mounted = (...points: string[]) => {
    const lines = points.map((point, i) => `${40 + i} 27 0:${i} / ${point} rw - ext4 /dev/vdb rw\n`);
    vi.spyOn(machine, 'readFile').mockImplementation(async (path) => {
      expect(path).toBe(MOUNTINFO);
      return lines.join('');
    });
  };

  it('removes it whole, empties it where it is a file system, and refuses to go into others', async () => {
    const top = await mkdtemp(join(tmpdir(), 'maru-removal-'));
    const path = `${top}/link/state`;
    try {
      await mkdir(`${top}/real/state/images`, { recursive: true });
      await mkdir(`${top}/real/state/lost+found`);
      await symlink(`${top}/real`, `${top}/link`);
      mounted('/', `${top}/real/state-of-others`);
      expect(await removeDirectory(path)).toEqual([{ do: 'remove', path }]);
      expect(await removeDirectory(path, /^images$/)).toEqual([{ do: 'remove', path }]);
      expect(await removeDirectory(path, /^servers$/)).toEqual([
        { do: 'warn', text: `left in ${path}, since it is not Maru's: images` },
      ]);
      mounted('/', `${top}/real/state`);
      expect(await removeDirectory(path)).toEqual([{ do: 'remove', path: `${path}/images` }]);
      mounted('/', `${top}/real/state`, `${top}/real/state/images`, `${top}/real/state/a\\040b`);
      await expect(removeDirectory(path)).rejects.toThrow(
        `: ${top}/real/state/images, ${top}/real/state/a b. `,
      );
      expect(await removeDirectory(`${top}/link`)).toMatchObject([
        { do: 'warn' },
        { do: 'remove', path: `${top}/link` },
      ]);
      expect(await removeDirectory(`${top}/none`)).toEqual([]);
    } finally {
      await rm(top, { recursive: true });
    }
  });

  it('reads the names of mount points as the kernel writes them', () => {
    expect(mountPoints('1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 8:2 / /a\\040b\\134 rw - xfs x rw\n')).toEqual(
      ['/', '/a b\\'],
    );
  });
});
