import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CommandError } from '../../agents/host/host.js';
import { type Action, machine } from '../../scripts/install.d/actions.js';
import { configStep } from '../../scripts/install.d/config-file.js';
import { CONFIG } from '../../scripts/install.d/layout.js';
import { mountPoints, removeDirectory } from '../../scripts/install.d/removal.js';

/** What the machine says to commands, by their words; anything else fails as on a machine that does not have it. */
function answering(answers: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}) {
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
