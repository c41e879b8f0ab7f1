import { afterEach, describe, expect, it, vi } from 'vitest';
import { CommandError } from '../../agents/host/host.js';
import { type Action, machine } from '../../scripts/install.d/actions.js';
import { configStep } from '../../scripts/install.d/config-file.js';
import { CONFIG } from '../../scripts/install.d/layout.js';

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
