import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemdMachine } from '../support/systemd-machine.js';

const NAME = 'selftest';

function traces(name: string) {
  const has = (directory: string) =>
    (existsSync(directory) ? readdirSync(directory) : []).filter((entry) => entry.includes(name));
  return {
    files: has('/var/tmp/maru-systemd'),
    namespaces: has('/run/netns'),
    groups: execFileSync(
      'sh',
      ['-c', `grep -l "maru-sd-${name}[^ ]*$" /proc/[0-9]*/cgroup 2>/dev/null || true`],
      {
        encoding: 'utf8',
      },
    ),
    mounts: readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`maru-sd-${name}`)),
  };
}
const NONE = { files: [], namespaces: [], groups: '', mounts: [] };

describe('a machine with systemd', { timeout: 400_000 }, () => {
  let machine: SystemdMachine;
  beforeAll(async () => {
    machine = await SystemdMachine.start({
      name: NAME,
      hostname: 'alpha',
      files: { '/etc/given': 'text', '/etc/secret': { content: 's', mode: 0o600 } },
    });
  }, 400_000);
  afterAll(async () => await machine?.stop());

  it('is one of its own', async () => {
    expect((await machine.must('hostname')).trim()).toBe('alpha');
    expect(await machine.must('cat', ['/proc/1/comm'])).toBe('systemd\n');
    expect(await machine.must('systemctl', ['is-system-running'])).toBe('running\n');
    expect(await machine.read('/etc/given')).toBe('text');
    expect(await machine.must('stat', ['-c', '%a', '/etc/secret'])).toBe('600\n');
    const links = JSON.parse(await machine.must('ip', ['-j', 'link'])) as { ifname: string }[];
    expect(links.map(({ ifname }) => ifname)).toEqual(['lo']);
    const services = await machine.must('systemctl', [
      'list-units',
      '--type=service',
      '--plain',
      '--no-legend',
    ]);
    expect(services).not.toMatch(/NetworkManager|postgresql|libvirtd|networking|timesyncd/);
  });

  it('answers with exit code, output and input', async () => {
    expect(await machine.run('sh', ['-c', 'cat; echo bad >&2; exit 3'], { input: 'in' })).toEqual({
      exitCode: 3,
      stdout: 'in',
      stderr: 'bad\n',
    });
    await expect(machine.must('false')).rejects.toThrow(/false: exit code 1/);
    await expect(machine.run('sleep', ['60'], { timeoutMs: 300 })).rejects.toThrow(/not done within 300 ms/);
    expect(await machine.must('sh', ['-c', 'echo $THIS'], { env: { THIS: 'that' } })).toBe('that\n');
  });

  it('runs units in sandboxes and does not touch this computer', async () => {
    const unit = ['--wait', '--pipe', '-p', 'ProtectSystem=strict', '-p', 'PrivateTmp=yes'];
    const result = await machine.run('systemd-run', [...unit, 'touch', '/etc/inside']);
    expect(result.exitCode).not.toBe(0);
    expect(result.stderr).toMatch(/Read-only file system/);
    await machine.must('systemd-run', ['--wait', '--pipe', 'touch', '/etc/inside']);
    expect(await machine.read('/etc/inside')).toBe('');
    expect(existsSync('/etc/inside')).toBe(false);
    expect(existsSync(`${machine.root}/etc/inside`)).toBe(true);
    expect((await machine.run('sysctl', ['-w', 'kernel.panic=0'])).exitCode).not.toBe(0);
    await machine.must('sysctl', ['-w', 'net.ipv4.ip_forward=1']);
    const here = process.cwd();
    expect(await machine.must('node', ['-p', `require('${here}/package.json').name`])).toBe('maru\n');
    expect((await machine.run('touch', [`${here}/x`])).exitCode).not.toBe(0);
  });

  it('keeps its disk and nothing else when it is switched off', async () => {
    await machine.write('/var/lib/kept', 'kept');
    await machine.write('/run/lost', 'lost');
    await machine.write('/tmp/lost', 'lost');
    await machine.must('systemd-run', ['--unit=lasting', 'sleep', '1000']);
    await machine.must('ip', ['link', 'add', 'br9', 'type', 'bridge']);
    await machine.reboot(async () => {
      expect(await machine.read('/var/lib/kept')).toBe('kept');
      await machine.write('/etc/while-off', 'yes', 0o600);
      execFileSync('ip', [
        '-n',
        machine.netns,
        'link',
        'add',
        'eth0',
        'type',
        'veth',
        'peer',
        'name',
        'cable',
      ]);
    });
    expect(await machine.read('/var/lib/kept')).toBe('kept');
    expect(await machine.read('/etc/while-off')).toBe('yes');
    expect(await machine.read('/run/lost')).toBeNull();
    expect(await machine.read('/tmp/lost')).toBeNull();
    expect((await machine.run('systemctl', ['is-active', 'lasting'])).stdout).toBe('inactive\n');
    const links = JSON.parse(await machine.must('ip', ['-j', 'link'])) as { ifname: string }[];
    expect(links.map(({ ifname }) => ifname).sort()).toEqual(['cable', 'eth0', 'lo']);
    expect(await machine.must('sysctl', ['-n', 'net.ipv4.ip_forward'])).toBe('0\n');
  });

  it('is one at a time, and leaves no trace', async () => {
    await expect(SystemdMachine.start({ name: NAME })).rejects.toThrow(/in use/);
    expect(await machine.must('hostname')).toBe('alpha\n');
    await machine.stop();
    expect(traces(NAME)).toEqual(NONE);
    await machine.stop();
  });
});

it('what a killed test has left goes with the next start', async () => {
  const orphan = await SystemdMachine.start({ name: 'orphan' });
  expect(traces('orphan').groups).not.toBe('');
  // as if this process had started after the one that made it had ended
  writeFileSync('/var/tmp/maru-systemd/orphan.owner', `${process.pid} 1\n`);
  const next = await SystemdMachine.start({ name: 'next' });
  try {
    expect(traces('orphan')).toEqual(NONE);
    await expect(orphan.run('true')).rejects.toThrow(/has ended/);
  } finally {
    await next.stop();
  }
}, 400_000);
