import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/lab.js';
import { SystemdMachine } from '../support/systemd-machine.js';

const CHECKOUT = process.cwd();
const MAIN = `${CHECKOUT}/dist/src/main.js`;

/** The controller's own unit, sandbox and all, running from the checkout. */
function controllerUnit(): string {
  return readFileSync('templates/systemd/maru-controller.service', 'utf8')
    .replace('/usr/lib/maru/bin/node', process.execPath)
    .replace('/usr/lib/maru/dist/src/main.js', MAIN);
}

const AGENT_UNIT = `[Service]
Environment=MARU_JOIN_TOKEN=GIVEN
ExecStart=${process.execPath} ${MAIN} agent --simulate --config /etc/maru/maru.yaml
ExecReload=/bin/kill -HUP $MAINPID
`;

const CONFIG = `controller:
  agent_names: [127.0.0.1]
agent:
  name: host1
  controller: https://127.0.0.1:5443
  listen: 127.0.0.1:0
  log_level: debug
`;

interface Line {
  readonly program: string;
  readonly msg: string;
  readonly level: string;
  readonly by?: string;
  readonly request_id?: string;
}

/** Under systemd the log is the journal: of a unit that may do little else than read it. */
describe('logs under systemd', { timeout: 300_000 }, () => {
  let machine: SystemdMachine;
  let env: Record<string, string>;

  beforeAll(async () => {
    await execa('scripts/maru', ['--version']);
    machine = await SystemdMachine.start({
      name: 'logs',
      files: {
        '/etc/maru/maru.yaml': CONFIG,
        '/etc/systemd/system/maru-controller.service': controllerUnit(),
      },
    });
    await machine.must('useradd', ['--system', '--user-group', '--home-dir', '/var/lib/maru', 'maru']);
    await machine.must('systemctl', ['start', 'maru-controller']);
    await until('the administrator’s password', 90, () => machine.read('/var/lib/maru/admin-password'));
    const password = (await machine.read('/var/lib/maru/admin-password'))!.trim();
    env = {
      OS_AUTH_URL: 'http://127.0.0.1:5000/identity/v3',
      OS_USERNAME: 'admin',
      OS_PASSWORD: password,
      OS_PROJECT_NAME: 'admin',
    };
    const token = await until('a token', 90, () => maru('host', 'token', '--name', 'host1'));
    await machine.write(
      '/etc/systemd/system/maru-agent.service',
      AGENT_UNIT.replace('GIVEN', token.trim()),
      0o600,
    );
    await machine.must('systemctl', ['start', 'maru-agent']);
    await until(
      'the host',
      90,
      async () =>
        (await maru('host', 'list')) + (await machine.must('journalctl', ['-u', 'maru-agent', '-n', '5'])),
      (text) => / up /.test(text),
    );
  }, 400_000);
  afterAll(async () => await machine?.stop());

  async function maru(...args: string[]): Promise<string> {
    return await machine.must(process.execPath, [MAIN, ...args], { env });
  }

  it('are read from the journals of both units, by request, time and weight', async () => {
    // whatever the agent has told of its host was told by a request of the test's own
    const lines = async (...args: string[]) =>
      (await maru('logs', '--json', ...args))
        .split('\n')
        .filter(Boolean)
        .map((text) => JSON.parse(text) as Line);
    const said = ['controller ready', 'controller host joined', 'agent agent started', 'agent command'];
    // what a program prints is in the journal a moment later
    const all = await until(
      'what both have said',
      90,
      () => lines('--since', '1h'),
      (found) => said.every((one) => found.some(({ program, msg }) => `${program} ${msg}` === one)),
    );
    const request = all.find(({ request_id }) => request_id)?.request_id ?? '';
    const ofRequest = await lines('--request', request);
    expect(ofRequest.length).toBeGreaterThan(0);
    expect(new Set(ofRequest.map(({ request_id }) => request_id))).toEqual(new Set([request]));
    // the newest, also where a time and a pattern are given; a request may still be going on
    await expect
      .poll(
        async () => {
          const newest = (await lines('--request', request)).at(-1);
          const [only] = await lines('--since', '1h', '--request', request, '--limit', '1');
          return newest !== undefined && JSON.stringify(only) === JSON.stringify(newest);
        },
        { timeout: 60_000 },
      )
      .toBe(true);
    expect(
      all.filter(({ msg }) => /^(Starting|Started) /.test(msg)).map(({ level, by }) => [level, by]),
    ).toContainEqual(['info', 'systemd']);
    expect(all.filter(({ msg, level }) => / maru-/.test(msg) && level === 'error')).toEqual([]);
    expect((await lines('--host', 'host1', '--level', 'error')).map(({ msg }) => msg)).toEqual([]);
  });

  it('systemctl reload brings a changed configuration into force, and refuses a wrong one', async () => {
    await machine.write('/etc/maru/maru.yaml', CONFIG.replace('agent:', '  cpu_allocation_ratio: 9\nagent:'));
    await machine.must('systemctl', ['reload', 'maru-controller', 'maru-agent']);
    const journal = () =>
      machine.must('journalctl', ['-u', 'maru-controller', '-u', 'maru-agent', '-o', 'cat']);
    await until('reloaded', 90, journal, (text) =>
      /"configuration reloaded".*"changed":\{"cpu_allocation_ratio":9\}/.test(text),
    );
    await machine.write('/etc/maru/maru.yaml', CONFIG.replace('log_level', 'log_levle'));
    await machine.must('systemctl', ['reload', 'maru-agent']);
    await until('refused', 90, journal, (text) => /not reloaded.*did you mean 'log_level'/.test(text));
    expect(await machine.must('systemctl', ['is-active', 'maru-controller', 'maru-agent'])).toBe(
      'active\nactive\n',
    );
  });
});
