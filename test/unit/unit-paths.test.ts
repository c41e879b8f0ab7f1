import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dropIn } from '../../scripts/install.d/writable.js';
import { issueServer, type KeyPair, makeAuthority } from '../../src/api/server-certificate.js';
import { crossCheck } from '../../src/cli/config/cross-checks.js';
import { readWhole } from '../../src/cli/config/sections.js';
import { explainSandbox } from '../../src/cli/config/unit-sandbox.js';
import { closedDirectories, openedBy } from '../../src/protocol/unit-paths.js';
import { foreignAuthority } from '../support/foreign-authority.js';

const TEMPLATES = join(import.meta.dirname, '../../templates/systemd');

describe('what the drop-ins of a unit open', () => {
  it('is what the installation has written, whatever is in the names', () => {
    const paths = ['/srv/with space', '/srv/100%', '/srv/"quoted"', '/srv/back\\slash'];
    expect(openedBy([dropIn(paths)]).sort()).toEqual([...paths].sort());
  });

  it('is also what an operator has, with prefixes, several on a line, and taken back', () => {
    expect(openedBy(['[Service]\nReadWritePaths=/a -/b/\nReadWritePaths="+/c d"\n'])).toEqual([
      '/a',
      '/b',
      '/c d',
    ]);
    expect(openedBy(['ReadWritePaths=/a\n', 'ReadWritePaths=\nReadWritePaths=/b\n'])).toEqual(['/b']);
  });
});

describe('directories that a unit does not let its program write to', () => {
  const paths = {
    state_dir: '/var/lib/maru',
    image_dir: '/srv/images',
    database: 'sqlite:/srv/db/maru.db',
    log_file: '/var/log/maru/controller.log',
    admin_password_file: '/etc/maru/password',
  };

  it('are those outside of what it may write to anyway, and of what is opened', () => {
    const keys = (opened: string[]) => closedDirectories('controller', paths, opened).map(({ key }) => key);
    expect(keys([])).toEqual(['image_dir', 'database', 'log_file']);
    expect(keys(['/srv', '/var/log/maru'])).toEqual([]);
    expect(keys(['/srv/image', '/srv/db', '/var/log/maru'])).toEqual(['image_dir']);
  });

  it('may be such as nothing opens', () => {
    const found = (state_dir: string) =>
      closedDirectories('agent', { state_dir, log_file: null }, [state_dir])[0]?.because;
    expect(found('/home/maru')).toBe('hidden');
    expect(closedDirectories('agent', { state_dir: '/etc/x', log_file: null }, [])[0]?.because).toBe(
      'forbidden',
    );
    // an operator has opened it himself
    expect(found('/etc/x')).toBeUndefined();
  });
});

describe('of an installed unit', () => {
  let directory: string;
  let file: string;
  const units = () => [TEMPLATES, join(directory, 'units')];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'maru-units-'));
    file = join(directory, 'maru.yaml');
    // what no other check has anything to say of
    const text = `controller:\n  listen: 127.0.0.1:5000\n  image_dir: /srv/images\nagent:\n  name: h1\n  underlay_ip: 192.0.2.1\n  state_dir: /srv/agent\n`;
    writeFileSync(file, text, { mode: 0o600 });
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });
  const open = (unit: string, path: string) => {
    mkdirSync(join(directory, 'units', `${unit}.d`), { recursive: true });
    writeFileSync(join(directory, 'units', `${unit}.d`, 'paths.conf'), dropIn([path]));
  };
  const errors = async () => {
    const whole = readWhole(file);
    await crossCheck(whole, 'maru', { file, units: units() });
    return whole.document.problems.filter(({ severity }) => severity === 'error');
  };

  it('maru config check names key, directory and command, until the installation has opened them', async () => {
    expect((await errors()).map(({ message, hint }) => `${message}: ${hint}`)).toEqual([
      "'image_dir' is in /srv/images, to which the sandbox of maru-controller.service does not let it write: sudo maru install controller",
      "'state_dir' is in /srv/agent, to which the sandbox of maru-agent.service does not let it write: sudo maru install host",
    ]);
    open('maru-controller.service', '/srv/images');
    open('maru-agent.service', '/srv/agent');
    expect(await errors()).toEqual([]);
    open('maru-agent.service', '/srv/before');
    expect((await errors()).map(({ line }) => line)).toEqual([7]);
  });

  it.each(['ProtectSystem=full', 'ProtectHome=no', 'PrivateTmp=no', 'BindPaths=/srv', 'LogsDirectory=x'])(
    'of one that an operator has made another of with %s it cannot be said',
    async (setting) => {
      expect(await errors()).toHaveLength(2);
      for (const unit of ['maru-controller.service', 'maru-agent.service']) {
        mkdirSync(join(directory, 'units', `${unit}.d`), { recursive: true });
        writeFileSync(join(directory, 'units', `${unit}.d`, 'local.conf'), `[Service]\n${setting}\n`);
      }
      expect(await errors()).toEqual([]);
      for (const unit of ['maru-controller.service', 'maru-agent.service'])
        writeFileSync(join(directory, 'units', `${unit}.d`, 'local.conf'), `[Service]\n#${setting}\n`);
      expect(await errors()).toHaveLength(2);
    },
  );

  it('the directory of a given certificate need not be open, whatever lies there; that of our own must', async () => {
    open('maru-controller.service', '/srv/images');
    open('maru-agent.service', '/srv/agent');
    const given = join(directory, 'pki');
    mkdirSync(given);
    const text = `controller:\n  listen: 127.0.0.1:5000\n  tls_cert_file: ${given}/api.pem\n  tls_key_file: ${given}/api.key\n`;
    writeFileSync(file, text, { mode: 0o600 });
    const put = async (authority: KeyPair) => {
      const pair = await issueServer(authority, ['127.0.0.1']);
      writeFileSync(join(given, 'ca.pem'), authority.certificate);
      writeFileSync(join(given, 'ca.key'), authority.key);
      writeFileSync(join(given, 'api.pem'), pair.certificate);
      writeFileSync(join(given, 'api.key'), pair.key);
    };
    await put(await foreignAuthority());
    expect(await errors()).toEqual([]);
    await put(await makeAuthority('x'));
    expect((await errors()).map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^'tls_cert_file' is in \S+pki, which the sandbox of maru-controller.service hides/,
      ),
    ]);
  });

  it('another file, or a machine without our units, has nothing to do with it', async () => {
    const whole = readWhole(file);
    await crossCheck(whole, 'maru', { file: '/etc/maru/maru.yaml', units: units() });
    await crossCheck(whole, 'maru', { file, units: [join(directory, 'none')] });
    expect(whole.document.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('a program that cannot start as a unit says so too', async () => {
    expect(await explainSandbox('agent', file, { file, units: units() })).toEqual([]);
    vi.stubEnv('INVOCATION_ID', '0');
    expect(await explainSandbox('agent', file, { file, units: units() })).toEqual([
      'agent.state_dir is in /srv/agent, to which the sandbox of maru-agent.service does not let it write: sudo maru install host',
    ]);
  });
});
