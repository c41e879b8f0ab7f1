import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemdMachine } from '../support/systemd-machine.js';
import { until } from './bridge-takeover-lab.js';

const MARU = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const OUTSIDE = 'maru-sd-brw-outside';

/** What undoes a change where systemd runs, when what would have done it elsewhere has gone too. */
let machine: SystemdMachine;
let before: string;

beforeAll(async () => {
  // brings dist up to date
  await execa('scripts/maru', ['--version']);
  machine = await SystemdMachine.start({ name: 'brw' });
  await execa('ip', ['netns', 'del', OUTSIDE], { reject: false });
  await execa('ip', ['netns', 'add', OUTSIDE]);
  const outside = (...args: string[]) => execa('ip', ['-n', OUTSIDE, ...args]);
  await outside('link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machine.netns);
  await outside('addr', 'add', '192.0.2.1/24', 'dev', 'cable');
  await outside('link', 'set', 'cable', 'up');
  await machine.must('ip', ['addr', 'add', '192.0.2.10/24', 'dev', 'eth0']);
  await machine.must('ip', ['link', 'set', 'eth0', 'up']);
  await machine.must('ip', ['route', 'add', 'default', 'via', '192.0.2.1']);
  before = await state();
}, 600_000);

afterAll(async () => {
  await machine?.stop();
  await execa('ip', ['netns', 'del', OUTSIDE], { reject: false });
});

describe('where systemd runs', () => {
  it('the unit that made the change is killed with all its processes: undone at once', async () => {
    const environment = ['-E', 'MARU_BRIDGE_STOP_AT=checked', '-E', `PATH=${process.env.PATH}`];
    const command = [
      process.execPath,
      MARU,
      'bridge',
      'br-ex',
      '--uplink',
      'eth0',
      '--confirm-within',
      '600',
    ];
    await machine.must('systemd-run', ['--unit=taking-over', ...environment, ...command]);
    await until('it is on trial', async () => (await state()).includes('br-ex'));
    await machine.must('systemctl', ['kill', '--signal=SIGKILL', 'taking-over.service']);
    await until('undone', async () => (await state()) === before);
    await until('nothing is left of it', async () => (await units()) === '');
  }, 300_000);

  it('every watchdog is killed: the timer undoes it at the deadline', async () => {
    for (const seconds of [8, 30, 120]) {
      const began = Date.now();
      const seen = await killedWatchdogs(seconds);
      // on a machine so busy that the time was over first, a longer one is tried
      const inTime = Date.now() - began < seconds * 1000;
      if (inTime) {
        // what a revert starts (a DHCP client) must not end with the unit in which the revert runs
        expect(seen.killModes).toEqual(['KillMode=process\n', 'KillMode=process\n']);
        expect(seen.state).toContain('br-ex');
      }
      await until('undone', async () => (await state()) === before, seconds * 1000 + 30_000);
      if (inTime) return;
    }
    throw new Error('a trial of 120 s was over before its watchdogs were killed');
  }, 300_000);

  it('a confirmed change stays, without timer and watchdog', async () => {
    await machine.must(process.execPath, [
      MARU,
      'bridge',
      'br-ex',
      '--uplink',
      'eth0',
      '--confirm-within',
      '600',
    ]);
    await until('the watchdogs have gone', async () => (await units()) === '');
    expect(await state()).toContain('192.0.2.10/24 scope global br-ex');
  }, 300_000);
});

/** Makes a change that waits for its confirmation and kills all processes that watch it; what was there then. */
async function killedWatchdogs(seconds: number) {
  const trial = ['--wait-confirm', '--confirm-within', `${seconds}`];
  await machine.run(process.execPath, [MARU, 'bridge', 'br-ex', '--uplink', 'eth0', ...trial]);
  const pending = '/var/lib/maru-bridge/pending';
  let pids: readonly string[] = [];
  await until('both watch', async () => {
    const watching = await machine.read(`${pending}/watching`);
    pids = watching?.trim().split('\n') ?? [];
    return watching === null || pids.length === 2;
  });
  const id = (await machine.read(`${pending}/id`))?.trim();
  const killModes = await Promise.all(
    ['watchdog', 'deadline'].map((what) =>
      machine.must('systemctl', ['show', '-p', 'KillMode', `maru-bridge-${what}-${id}.service`]),
    ),
  );
  await machine.run('kill', ['-9', ...pids]);
  const gone = async (pid: string) => (await machine.run('kill', ['-0', pid])).exitCode !== 0;
  await until('they are gone', async () => (await Promise.all(pids.map(gone))).every(Boolean));
  return { killModes, state: await state() };
}

async function units(): Promise<string> {
  const args = ['list-units', '--no-legend', '--plain', '--state=active,activating', 'maru-bridge-*'];
  return await machine.must('systemctl', args);
}

async function state(): Promise<string> {
  return await machine.must('sh', [
    '-c',
    'ip -o -4 addr show scope global; ip route; ip -br link | cut -d" " -f1',
  ]);
}
