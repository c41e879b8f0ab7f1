import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanRoot } from '../support/clean-root.js';
import { until } from '../support/lab.js';
import { machine } from '../support/machine.js';
import { SystemdMachine } from '../support/systemd-machine.js';

/** scripts/package: what is in the packages, and the life of the Debian package in a system of its own without network. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const MINUTES = 60_000;
vi.setConfig({ testTimeout: 10 * MINUTES });

let work: string;
let tarball: string;
let deb: string;
/** The unpacked tarball, the unpacked package, and the part of it that both have. */
let tree: string;
let unpacked: string;
let version: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'maru-package-'));
  const { stdout } = await machine.run(`${ROOT}/scripts/package`, ['--fast', '--output', `${work}/out`], {
    timeoutMs: 10 * MINUTES,
  });
  process.stdout.write(stdout);
  const names = readdirSync(`${work}/out`);
  tarball = `${work}/out/${names.find((name) => name.endsWith('.tar.xz'))}`;
  deb = `${work}/out/${names.find((name) => name.endsWith('.deb'))}`;
  expect(names.sort()).toEqual(['SHA256SUMS', tarball, deb].map((file) => file.split('/').at(-1)).sort());
  for (const name of ['tar', 'deb']) await machine.run('mkdir', [`${work}/${name}`]);
  await machine.run('tar', ['-C', `${work}/tar`, '-xf', tarball], { timeoutMs: 5 * MINUTES });
  await machine.run('dpkg-deb', ['-x', deb, `${work}/deb`], { timeoutMs: 5 * MINUTES });
  const [top = '', ...more] = readdirSync(`${work}/tar`);
  expect(more).toEqual([]);
  tree = `${work}/tar/${top}`;
  unpacked = `${work}/deb`;
  version = top.replace(/^maru-/, '').replace(/-linux-[^-]+$/, '');
}, 20 * MINUTES);

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('what is shipped', () => {
  it('is the same tree in both', () => {
    const share = (file: string) => file.startsWith('share/');
    const own = contents(tree);
    const packaged = contents(`${unpacked}/usr/lib/maru`);
    expect(packaged).toEqual(Object.fromEntries(Object.entries(own).filter(([file]) => !share(file))));
    const elsewhere = contents(`${unpacked}/usr/share`);
    for (const [file, digest] of Object.entries(own).filter(([name]) => share(name))) {
      // Debian has the text of our licence, and long texts are compressed there
      if (/\/(LICENSE|THIRD-PARTY)$/.test(file)) continue;
      expect(elsewhere[file.replace('share/', '')], file).toBe(digest);
    }
  });

  it('has what runs, and nothing of what was needed to build and test it', () => {
    const files = Object.keys(contents(tree));
    for (const needed of [
      'bin/node',
      'bin/maru',
      'dist/src/main.js',
      'dist/agents/main.js',
      'dist/scripts/install.d/install.js',
      'scripts/install',
      'scripts/lib/packages.sh',
      'templates/systemd/maru-agent.service',
      'templates/systemd/maru-controller.service',
      'share/man/man1/maru.1.gz',
      'share/bash-completion/completions/maru',
      'share/zsh/vendor-completions/_maru',
      'share/fish/vendor_completions.d/maru.fish',
      'share/doc/maru/README.md',
      'share/doc/maru/LICENSE',
      'share/doc/maru/THIRD-PARTY',
      'node_modules/better-sqlite3/build/Release/better_sqlite3.node',
    ]) {
      expect(files).toContain(needed);
    }
    const unwanted =
      /\.(ts|map|tsbuildinfo)$|\.test\.js$|^(test|src|agents|build|vagrant|dist\/test)\/|^dist\/scripts\/(package|bench)/;
    expect(files.filter((file) => unwanted.test(file))).toEqual([]);
  });

  it('has the modules of production and their licences only', () => {
    const { packages } = JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8')) as {
      packages: Record<string, { dev?: boolean; version: string }>;
    };
    const shipped = Object.keys(contents(tree))
      .filter((file) => /^node_modules\/.*package\.json$/.test(file))
      .map((file) => file.replace(/\/package\.json$/, ''))
      .filter((path) => path in packages);
    expect(shipped.length).toBeGreaterThan(50);
    expect(shipped.filter((path) => packages[path]?.dev)).toEqual([]);
    const licences = readFileSync(`${tree}/share/doc/maru/THIRD-PARTY`, 'utf8');
    for (const path of shipped) {
      const name = path.split('node_modules/').at(-1);
      expect(licences).toContain(`\n${name} ${packages[path]?.version} (${path}), `);
    }
    expect(licences).toMatch(/^Node\.js v20\./m);
    const { dependencies } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
      dependencies: object;
    };
    for (const name of Object.keys(dependencies)) expect(shipped).toContain(`node_modules/${name}`);
  });

  it('has no secret and does not say where it was built', async () => {
    const files = Object.keys(contents(tree));
    const secret =
      /(^|\/)(\.env|\.npmrc|\.git|clouds\.yaml|maru\.yaml|admin-password|.*\.(pem|key|db|log))($|\/)/;
    expect(files.filter((file) => secret.test(file))).toEqual([]);
    const found = async (...pattern: string[]) =>
      (await machine.read('grep', ['-rIl', ...pattern, tree], { okCodes: [0, 1] })).stdout;
    expect(await found('-e', '^-----BEGIN.*PRIVATE KEY', '--exclude-dir=node_modules')).toBe('');
    expect(await found('-F', '-e', ROOT)).toBe('');
  });

  it('belongs to root, can be read by all and written by root only, and is of one time', async () => {
    const listing = (await machine.read('tar', ['--numeric-owner', '--full-time', '-tvf', tarball])).stdout;
    const packaged = (
      await machine.read('sh', [
        '-c',
        'dpkg-deb --fsys-tarfile "$0" | tar --numeric-owner --full-time -tvf -',
        deb,
      ])
    ).stdout;
    const times = new Set<string>();
    for (const line of [...listing.split('\n'), ...packaged.split('\n')].filter(Boolean)) {
      const [mode = '', owner, , date, time, name = ''] = line.split(/\s+/);
      expect(owner, line).toBe('0/0');
      expect(['drwxr-xr-x', '-rwxr-xr-x', '-rw-r--r--', 'lrwxrwxrwx'], line).toContain(mode);
      if (mode === '-rwxr-xr-x' && !name.endsWith('/bin/node'))
        expect(name, line).toMatch(/\/(bin\/maru|dist\/src\/main\.js|scripts\/.*)$/);
      times.add(`${date} ${time}`);
    }
    expect(times.size).toBe(1);
  });

  it('is as large as said, with sums that fit', async () => {
    await machine.run('sh', ['-c', 'cd "$0" && sha256sum --quiet -c SHA256SUMS', `${work}/out`]);
    expect(statSync(deb).size).toBeLessThan(40e6);
    expect(statSync(tarball).size).toBeLessThan(40e6);
    // stripped
    expect(statSync(`${tree}/bin/node`).size).toBeLessThan(95e6);
  });

  it('runs from the unpacked tarball, wherever that is, without a Node.js of the machine', async () => {
    const env = { PATH: '/usr/bin:/bin' };
    const run = async (command: string, ...args: string[]) =>
      (await machine.read('env', ['-i', 'PATH=/nonexistent:/bin', command, ...args], { env })).stdout;
    expect(await run(`${tree}/bin/maru`, '--version')).toBe(`${version}\n`);
    expect(await run(`${tree}/scripts/install`, '--help')).toContain('maru install');
  });
});

describe('the package in a clean system without network', () => {
  let clean: CleanRoot;
  let password: string;

  beforeAll(async () => {
    clean = await CleanRoot.open(work);
    await machine.run('cp', [deb, `${clean.root}/maru.deb`]);
  }, 20 * MINUTES);

  afterAll(async () => {
    await clean?.close();
  });

  it('has no network but its own loopback, and no Node.js', async () => {
    expect(readdirSync(`${clean.root}/usr/bin`)).not.toContain('node');
    const { stdout } = await clean.run('cat', ['/proc/net/dev']);
    expect(
      stdout
        .split('\n')
        .filter((line) => line.includes(':'))
        .map((line) => line.trim().split(':')[0]),
    ).toEqual(['lo']);
  });

  it('is installed by dpkg alone, starts and makes nothing, and says what to do next', async () => {
    const before = readdirSync(`${clean.root}/etc`);
    const { stdout, stderr } = await clean.run('dpkg', ['-i', '/maru.deb']);
    expect(stdout).toContain('sudo maru install all-in-one');
    expect(stderr).toBe('');
    expect(readdirSync(`${clean.root}/etc`)).toEqual(before);
    for (const path of ['etc/maru', 'var/lib/maru', 'var/lib/maru-agent'])
      expect(existsSync(`${clean.root}/${path}`)).toBe(false);
    expect(readFileSync(`${clean.root}/etc/passwd`, 'utf8')).not.toContain('maru');
    await clean.run('dpkg', ['--verify', 'maru']);
    expect(readlinkSync(`${clean.root}/usr/bin/maru`)).toBe('../lib/maru/bin/maru');
  });

  it('has the command with help, version, completion and the installation', async () => {
    expect((await clean.run('maru', ['--version'])).stdout).toBe(`${version}\n`);
    expect((await clean.run('maru', ['--help'])).stdout).toContain('Commands:');
    expect((await clean.run('maru', ['install', 'controller', '--help'])).stdout).toContain('--dry-run');
    const offered = await clean.run('bash', [
      '-c',
      '. /usr/share/bash-completion/completions/maru; COMP_WORDS=(maru inst); COMP_CWORD=1; _maru; echo $COMPREPLY',
    ]);
    expect(offered.stdout).toBe('install\n');
  });

  it('runs a controller that issues tokens', async () => {
    await clean.run('mkdir', ['-p', '/etc/maru', '/var/lib/maru-agent/disks']);
    await clean.run('sh', [
      '-c',
      'printf "%s" "$1" >/etc/maru/maru.yaml; echo disk >/var/lib/maru-agent/disks/one',
      'sh',
      CONFIG,
    ]);
    await clean.run('maru', ['config', 'check']);
    await withController(async () => {
      password = readFileSync(`${clean.root}/var/lib/maru/admin-password`, 'utf8').trim();
      expect(await token(password)).toMatch(/\S{20,}/);
      await expect(token('wrong')).rejects.toThrow('401');
    });
  });

  it('is upgraded under a running controller, which goes on', async () => {
    await withController(async () => {
      const { stdout } = await clean.run('dpkg', ['-i', '/maru.deb']);
      expect(stdout).not.toContain('maru install');
      expect(await token(password)).toMatch(/\S{20,}/);
    });
    await withController(async () => expect(await token(password)).toMatch(/\S{20,}/));
  });

  it('is removed without what belongs to the operator', async () => {
    const { stderr } = await clean.run('dpkg', ['-r', 'maru']);
    expect(stderr).toContain('guests and their networks run on');
    expect(existsSync(`${clean.root}/usr/lib/maru`)).toBe(false);
    expect(existsSync(`${clean.root}/usr/bin/maru`)).toBe(false);
    for (const path of ['etc/maru/maru.yaml', 'var/lib/maru/maru.db', 'var/lib/maru-agent/disks/one'])
      expect(existsSync(`${clean.root}/${path}`), path).toBe(true);
  });

  it('is purged with its configuration, and keeps and names database and disks', async () => {
    const { stderr } = await clean.run('dpkg', ['-P', 'maru']);
    expect(stderr).toContain('kept /var/lib/maru /var/lib/maru-agent');
    expect(existsSync(`${clean.root}/etc/maru`)).toBe(false);
    for (const path of ['var/lib/maru/maru.db', 'var/lib/maru-agent/disks/one'])
      expect(existsSync(`${clean.root}/${path}`), path).toBe(true);
    const listed = await clean.run('dpkg-query', ['-W', 'maru'], { okCodes: [0, 1] });
    expect(listed.stdout).toBe('');
  });

  it('finds its database again when it comes back', async () => {
    await clean.run('dpkg', ['-i', '/maru.deb']);
    await clean.run('sh', ['-c', 'mkdir -p /etc/maru; printf "%s" "$1" >/etc/maru/maru.yaml', 'sh', CONFIG]);
    await withController(async () => expect(await token(password)).toMatch(/\S{20,}/));
    await clean.run('rm', ['-r', '/var/lib/maru', '/var/lib/maru-agent']);
    const { stderr } = await clean.run('dpkg', ['-P', 'maru']);
    expect(stderr).not.toContain('maru: kept');
  });

  /** Runs the controller of /etc/maru/maru.yaml while `body` does. */
  async function withController(body: () => Promise<void>): Promise<void> {
    const log = `${work}/controller.log`;
    const pid = await clean.start('maru', ['controller'], log);
    try {
      await until(
        'the API answers',
        120,
        async () => (await ask('/')).includes('identity'),
        (answers) => answers || !alive(pid),
      ).catch((error) => {
        throw new Error(`${error}\n${readFileSync(log, 'utf8').slice(-3000)}`);
      });
      await body();
      expect(alive(pid), readFileSync(log, 'utf8').slice(-3000)).toBe(true);
    } finally {
      // unshare takes no SIGTERM while it waits; its end ends all that it has started
      machine.kill(pid, 'SIGKILL');
      const left = () => machine.read('ip', ['netns', 'pids', clean.netns]);
      await until('the controller has ended', 90, async () => !alive(pid) && (await left()).stdout === '');
    }
  }

  async function ask(path: string, ...more: string[]): Promise<string> {
    const url = `http://127.0.0.1:5000${path}`;
    const { stdout } = await machine.run(
      'curl',
      ['-sS', '--noproxy', '*', '--max-time', '20', ...more, url],
      { netns: clean.netns },
    );
    return stdout;
  }

  /** A token for the administrator; throws with the status when there is none. */
  async function token(secret: string): Promise<string> {
    const user = { name: 'admin', domain: { id: 'default' }, password: secret };
    const auth = {
      identity: { methods: ['password'], password: { user } },
      scope: { project: { name: 'admin', domain: { id: 'default' } } },
    };
    const body = ['-H', 'Content-Type: application/json', '-d', JSON.stringify({ auth })];
    const answer = await ask('/identity/v3/auth/tokens', '-i', ...body);
    const issued = /^x-subject-token: (\S+)/im.exec(answer)?.[1];
    if (!issued) throw new Error(answer.slice(0, 500));
    return issued;
  }
});

describe('the package on a machine with systemd', () => {
  let host: SystemdMachine;

  beforeAll(async () => {
    host = await SystemdMachine.start({ name: 'package', hostname: 'alpha' });
    await machine.run('cp', [deb, `${host.root}/maru.deb`]);
    // where images for containers are at home, it keeps every service from being started
    await host.must('rm', ['-f', '/usr/sbin/policy-rc.d']);
  }, 10 * MINUTES);

  afterAll(async () => await host?.stop(), 3 * MINUTES);

  const property = async (name: string, unit = 'maru-controller') =>
    (await host.must('systemctl', ['show', `--property=${name}`, '--value', unit])).trim();
  const hosts = async () => JSON.parse(await host.must('maru', ['host', 'list', '--json'])) as unknown[];

  it('makes a controller of it with the units and the program of the package', async () => {
    await host.must('dpkg', ['-i', '/maru.deb']);
    expect(await property('ActiveState')).toBe('inactive');
    const done = await host.run('maru', ['install', 'controller', '--no-packages', '--address', '127.0.0.1']);
    expect(done, done.stdout + done.stderr).toMatchObject({ exitCode: 0 });
    expect(await property('FragmentPath')).toMatch(
      /^\/(usr\/)?lib\/systemd\/system\/maru-controller\.service$/,
    );
    expect(await property('UnitFileState')).toBe('enabled');
    const exe = `/proc/${await property('MainPID')}/exe`;
    expect((await host.must('readlink', [exe])).trim()).toBe('/usr/lib/maru/bin/node');
    expect(await hosts()).toEqual([]);
    // the installation has changed nothing of what dpkg installed
    expect(await host.must('dpkg', ['--verify', 'maru'])).toBe('');
  });

  it('starts the controller again when it is upgraded, and nothing else', async () => {
    const before = await property('MainPID');
    await host.must('dpkg', ['-i', '/maru.deb']);
    expect(await property('MainPID')).not.toBe(before);
    expect(await until('the API answers', 120, hosts, (list) => list.length === 0)).toEqual([]);
    expect(await property('ActiveState', 'maru-agent')).toBe('inactive');
  });

  it('is uninstalled and removed; what is kept is there for the next installation', async () => {
    const uninstalled = await host.must('maru', ['install', 'uninstall']);
    expect(uninstalled).toContain('apt-get remove maru');
    expect(await property('ActiveState')).toBe('inactive');
    await host.must('maru', ['install', 'controller', '--no-packages', '--address', '127.0.0.1']);
    await host.must('dpkg', ['-r', 'maru']);
    expect(await property('ActiveState')).toBe('inactive');
    const { stderr } = await host.run('dpkg', ['-P', 'maru']);
    expect(stderr).toContain('kept /var/lib/maru ');
    expect(await host.must('find', ['/etc', '-name', '*maru*', '-not', '-path', '/etc/alternatives/*'])).toBe(
      '',
    );
    expect(await host.must('ls', ['/var/lib/maru'])).toContain('maru.db');
  });
});

const CONFIG = `controller:
  listen: 127.0.0.1:5000
  agent_listen: 127.0.0.1:5443
`;

/** Every file and link below a directory, with a digest of what it holds. */
function contents(directory: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(directory.length + 1);
    if (entry.isSymbolicLink()) found[name] = `link to ${readlinkSync(path)}`;
    else if (entry.isFile()) found[name] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return found;
}

function alive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
