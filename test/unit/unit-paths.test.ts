import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dropIn } from '../../scripts/install.d/writable.js';
import { crossCheck } from '../../src/cli/config/cross-checks.js';
import { readWhole } from '../../src/cli/config/sections.js';
import { explainSandbox } from '../../src/cli/config/unit-sandbox.js';
import { closedDirectories, openedBy } from '../../src/protocol/unit-paths.js';

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
