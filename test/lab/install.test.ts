import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quoted } from '../../scripts/install.d/actions.js';
import { issueServer, problemOf } from '../../src/api/server-certificate.js';
import { until } from '../support/lab.js';
import { machine as computer } from '../support/machine.js';
import { SystemdMachine } from '../support/systemd-machine.js';

const ROOT = process.cwd();
const IMAGE = `${ROOT}/build/images/tiny.qcow2`;
const INSTALL = `${ROOT}/scripts/install`;
const ADDRESS = '203.0.113.2';
const STEP_MS = 400_000;
const LIBVIRT = [
  'libvirtd.service',
  'virtlogd.service',
  'libvirt-guests.service',
  'systemd-machined.service',
];

/** Everything that an installation may touch, with what is in it. */
const TOUCHED = 'etc usr/lib/maru usr/bin/maru var/lib/maru-install';

describe('maru install on a machine with systemd', () => {
  let machine: SystemdMachine;

  beforeAll(async () => {
    const build = '. scripts/lib/packages.sh; . scripts/lib/build.sh; ensure_built';
    await computer.run('bash', ['-euc', `root=$PWD; ${build}`], { timeoutMs: 600_000 });
    await computer.run('scripts/build-tiny-image', ['--output', IMAGE], { timeoutMs: 600_000 });
    machine = await SystemdMachine.start({ name: 'install', hostname: 'alpha', enable: LIBVIRT });
    await plugIn(machine);
  }, 900_000);
  afterAll(async () => await machine?.stop(), 180_000);

  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    machine.run(INSTALL, args, { timeoutMs: STEP_MS, env: { MARU_BUILT: '1', ...env } });
  const maru = (...args: string[]) => machine.must('maru', args, { timeoutMs: 180_000 });
  const property = async (unit: string, name: string) =>
    (await machine.must('systemctl', ['show', `--property=${name}`, '--value', unit])).trim();
  const state = () =>
    machine.must('sh', [
      '-c',
      `cd /; find ${TOUCHED} -not -path 'etc/ld.so.cache' -type f -exec stat -c '%n %a %U %G %s' {} + 2>/dev/null | sort;
       find etc -type f -size -1M -exec sha256sum {} + | sort; getent passwd maru; systemctl list-units 'maru-*' --all --plain --no-legend`,
    ]);
  const host = async () =>
    JSON.parse(await maru('host', 'list', '--json')) as { name: string; state: string }[];
  const hostUp = () => until('host alpha up', 180, host, (hosts) => hosts[0]?.state === 'up');

  it(
    'says with --dry-run what it would do, and changes nothing',
    async () => {
      const before = await state();
      const { exitCode, stdout } = await run(['all-in-one', '--dry-run']);
      expect(exitCode).toBe(0);
      for (const said of [
        'user: would run useradd --system',
        '+  public_url: https://203.0.113.2:5000',
        '+ExecStart=/usr/lib/maru/bin/node /usr/lib/maru/dist/src/main.js agent',
        '+ON_BOOT=ignore',
        'maru-agent: would run systemctl start maru-agent.service',
        'nothing was changed',
      ])
        expect(stdout).toContain(said);
      expect(await state()).toBe(before);
    },
    STEP_MS,
  );

  it(
    'installs a controller, also after being killed in the middle',
    async () => {
      await machine.run('timeout', ['--foreground', '-s', 'KILL', '2', INSTALL, 'controller'], {
        env: { MARU_BUILT: '1' },
      });
      const done = await run(['controller']);
      expect(done).toMatchObject({ exitCode: 0, stderr: '' });
      expect(done.stdout).toMatch(/done: \d+ change/);
      const pid = await property('maru-controller', 'MainPID');
      expect(await machine.must('ps', ['-o', 'user=', '-p', pid])).toMatch(/^maru/);
      expect(await machine.must('stat', ['-c', '%a %U:%G', '/etc/openstack/clouds.yaml'])).toBe(
        '600 root:root\n',
      );
      expect(await machine.must('stat', ['-c', '%a %U:%G', '/var/lib/maru/tls/api.key'])).toBe(
        '600 maru:maru\n',
      );
    },
    2 * STEP_MS,
  );

  it(
    'serves the APIs over the network with a certificate of its own authority',
    async () => {
      const trusted = ['--cacert', '/etc/maru/tls/ca.pem'];
      await machine.must('curl', ['-sf', ...trusted, `https://${ADDRESS}:5000/identity/v3`]);
      expect((await machine.run('curl', ['-s', `https://${ADDRESS}:5000/identity/v3`])).exitCode).toBe(60);
      const token = ['--os-cloud', 'maru', 'token', 'issue', '-f', 'value', '-c', 'id'];
      expect((await machine.must('openstack', token)).length).toBeGreaterThan(20);
    },
    STEP_MS,
  );

  it(
    'the controller renews that certificate by itself, out of its sandbox',
    async () => {
      const read = async (name: string) => await machine.must('cat', [`/var/lib/maru/tls/${name}`]);
      const authority = { certificate: await read('ca.pem'), key: await read('ca.key') };
      const key = await read('api.key');
      const ending = await issueServer(authority, [ADDRESS], { key, lifetimeMs: 10 * 86_400_000 });
      await machine.write('/var/lib/maru/tls/api.pem', ending.certificate, 0o644);
      await machine.must('systemctl', ['restart', 'maru-controller']);
      const trusted = ['-sf', '--cacert', '/etc/maru/tls/ca.pem'];
      const url = `https://${ADDRESS}:5000/identity/v3`;
      await until('the API', 120, async () => (await machine.run('curl', [...trusted, url])).exitCode === 0);
      const pair = { certificate: await read('api.pem'), key: await read('api.key') };
      expect(problemOf(pair, [ADDRESS], 800)).toBeNull();
      expect(pair.key).toBe(key);
    },
    STEP_MS,
  );

  it(
    'refuses a host whose token is wrong, and says what to do',
    async () => {
      const url = ['--controller', 'https://127.0.0.1:5443'];
      const none = await run(['host', ...url]);
      expect(none.exitCode).toBe(1);
      expect(none.stderr).toMatch(/there is no token: give --token, --token-file or MARU_JOIN_TOKEN/);
      const damaged = await run(['host', ...url], { MARU_JOIN_TOKEN: 'abc' });
      expect(damaged.stderr).toMatch(/not a join token/);
      const good = (await maru('host', 'token', '--name', 'beta')).trim();
      await machine.write('/root/token', good, 0o600);
      const other = await run(['host', ...url, '--token-file', '/root/token']);
      expect(other.exitCode).toBe(1);
      expect(other.stderr).toMatch(/exit code 1/);
      expect(other.stderr).toMatch(/does not let 'alpha' in \(403\)/);
      expect(other.stderr).toMatch(/maru host token --name HOST/);
      expect(other.stderr).toMatch(/run the same command again/);
      expect((await machine.run('systemctl', ['is-active', 'maru-agent'])).stdout).toBe('inactive\n');
      const mixed = ['--tls-cert', '/var/lib/maru/tls/api.pem', '--tls-key', '/var/lib/maru/tls/ca.key'];
      const refused = await run(['controller', '--dry-run', ...mixed]);
      expect(refused.stderr).toMatch(/step 'TLS': .*ca\.key: the key is not that of the certificate/);
      const away = await run(['host', '--controller', '127.0.0.1:9', '--token-file', '/root/token']);
      expect(away.stderr).toMatch(/cannot reach the controller at https:\/\/127\.0\.0\.1:9: .*ECONNREFUSED/);
    },
    2 * STEP_MS,
  );

  it(
    'installs a host on another machine, which joins over the network; its token is nowhere afterwards',
    async () => {
      const other = await SystemdMachine.start({ name: 'install-host', hostname: 'gamma', enable: LIBVIRT });
      try {
        await connect(machine, other);
        const elsewhere = 'agent:\n  state_dir: /srv/agent\n  log_file: /var/log/maru/agent.log\n';
        await other.write('/etc/maru/maru.yaml', elsewhere, 0o640);
        const token = await maru('host', 'token', '--name', 'gamma');
        const done = await other.run(INSTALL, ['host', '--controller', '192.0.2.1', '--token-file', '-'], {
          timeoutMs: STEP_MS,
          env: { MARU_BUILT: '1' },
          input: token,
        });
        expect(done).toMatchObject({ exitCode: 0, stderr: '' });
        const gamma = async () => (await host()).find(({ name }) => name === 'gamma');
        await until('host gamma up', 180, gamma, (found) => found?.state === 'up');
        // one place where it is shows that it would be found
        await other.write('/var/log/decoy', token, 0o600);
        // the pattern goes through a pipe: what looks for the token must not have it itself
        const places = '/etc /srv/agent /var/log /run /proc/[0-9]*/environ /proc/[0-9]*/cmdline';
        const { stdout } = await other.run(
          'sh',
          ['-c', `read -r secret; echo "$secret" | grep -rlsF -f - ${places}`],
          { input: `${token.trim().slice(-40)}\n` },
        );
        expect(stdout).toBe('/var/log/decoy\n');
        expect((await other.run('id', ['maru'])).exitCode).not.toBe(0);
        const again = await other.run(INSTALL, ['host'], { timeoutMs: STEP_MS, env: { MARU_BUILT: '1' } });
        expect(again.stdout).toContain('nothing to do');
        await maru('host', 'remove', 'gamma');
        await other.must('systemd-analyze', ['verify', 'maru-agent.service']);
        await other.must('grep', ['agent started', '/var/log/maru/agent.log']);
        await other.must('ls', ['/srv/agent/identity.json']);
        await other.write('/srv/agent/mine', '');
        const purged = await other.run(INSTALL, ['uninstall', '--purge', '--yes'], {
          timeoutMs: STEP_MS,
          env: { MARU_BUILT: '1' },
        });
        expect(purged.stdout).toContain("left in /srv/agent, since it is not Maru's: mine");
        const left = 'ls -d /srv/agent/* /etc/systemd/system/maru-* /var/lib/maru-agent 2>/dev/null';
        expect((await other.run('sh', ['-c', left])).stdout).toBe('/srv/agent/mine\n');
      } finally {
        await other.stop();
      }
    },
    3 * STEP_MS,
  );

  it(
    'completes it to an all-in-one, whose host is up; again it has nothing to do',
    async () => {
      const done = await run(['all-in-one']);
      expect(done.stderr).toBe('');
      await hostUp();
      const before = await state();
      const again = await run(['all-in-one']);
      expect(again.stdout).toContain('nothing to do: everything is as it should be');
      expect((await machine.run('maru', ['install', 'all-in-one', '--dry-run'])).stdout).toContain(
        'nothing to do',
      );
      expect(await state()).toBe(before);
      // both read their journals from inside their sandboxes
      const logs = await maru('logs', '--since', '1h');
      expect(logs).toMatch(/alpha controller +ready/);
      expect(logs).toMatch(/alpha agent +agent started/);
    },
    2 * STEP_MS,
  );

  it('has units that systemd-analyze finds right, and sandboxes', async () => {
    const units = ['maru-controller.service', 'maru-agent.service'];
    const verified = await machine.run('systemd-analyze', ['verify', ...units]);
    expect(verified).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    for (const [unit, worst] of [
      ['maru-controller.service', 1.5],
      ['maru-agent.service', 4.6],
    ] as const) {
      const said = await machine.must('systemd-analyze', ['security', '--no-pager', unit]);
      const [, score] = /exposure level for \S+: ([\d.]+)/.exec(said) ?? [];
      expect(Number(score)).toBeLessThanOrEqual(worst);
    }
  });

  it(
    'lets guests and DHCP servers be when the agent is restarted or stopped',
    async () => {
      await makeGuest(machine);
      const processes = async () => {
        const { stdout } = await machine.run('pgrep', [
          '-f',
          // of guests: libvirt asks QEMU what it can do, too
          '^/usr/bin/qemu-system.* guest=|^/usr/sbin/dnsmasq|^dnsmasq',
        ]);
        return stdout.trim().split('\n').sort();
      };
      const before = await until('both', 120, processes, ({ length }) => length === 2);
      const listed = () => machine.must('ip', ['netns', 'list']);
      const both = (text: string) => text.includes('qrouter-') && text.includes('qdhcp-');
      const namespaces = await until('the namespaces of network and router', 120, listed, both);
      // seen by everybody, and not only listed
      await machine.must('ip', ['netns', 'exec', namespaces.split(/\s/)[0] ?? '', 'true']);
      await machine.must('systemctl', ['restart', 'maru-agent']);
      await hostUp();
      await until('an empty plan', 120, async () =>
        /matches its specification/.test(await maru('plan', 'alpha')),
      );
      await machine.must('systemctl', ['stop', 'maru-agent']);
      expect(await processes()).toEqual(before);
      await machine.must('systemctl', ['start', 'maru-agent']);
    },
    2 * STEP_MS,
  );

  it(
    'starts the controller again when it is killed, and only what has changed',
    async () => {
      const pid = await property('maru-controller', 'MainPID');
      await machine.must('kill', ['-9', pid]);
      await until('another controller', 120, async () => {
        const now = await property('maru-controller', 'MainPID');
        return now !== '0' && now !== pid;
      });
      await until('its API', 120, () => host());
      const [controller, agent] = [
        await property('maru-controller', 'MainPID'),
        await property('maru-agent', 'MainPID'),
      ];
      const config = (await machine.read('/etc/maru/maru.yaml')) ?? '';
      await machine.write(
        '/etc/maru/maru.yaml',
        `${config.replace('agent:\n', 'agent:\n  heartbeat_interval: 2 # mine\n')}`,
        0o640,
      );
      await machine.must('chown', ['root:maru', '/etc/maru/maru.yaml']);
      const { stdout } = await run(['all-in-one']);
      expect(stdout).toContain('maru-agent: run systemctl restart maru-agent.service');
      expect(await property('maru-controller', 'MainPID')).toBe(controller);
      expect(await property('maru-agent', 'MainPID')).not.toBe(agent);
      expect(await machine.read('/etc/maru/maru.yaml')).toContain('heartbeat_interval: 2 # mine');
    },
    2 * STEP_MS,
  );

  it(
    'has everything back after the power was off: guests are started by the agent',
    async () => {
      await machine.reboot(() => plugIn(machine));
      await machine.must('sh', ['-c', 'ip link add br-ex type bridge && ip link set br-ex up']);
      await hostUp();
      const qemu = () => machine.run('pgrep', ['-f', '^/usr/bin/qemu-system.* guest=']);
      await until('the guest', 180, async () => (await qemu()).exitCode === 0);
      await until('a healthy cloud', 180, async () => /^Nothing is wrong/.test(await maru('status')));
    },
    2 * STEP_MS,
  );

  it(
    'is uninstalled without losing anything, and installed again',
    async () => {
      const manual = '/usr/share/man/man1/maru.1 /usr/share/bash-completion/completions/maru';
      await machine.must('ls', manual.split(' '));
      await machine.must('mkdir', ['-p', '/var/lib/maru-bridge/bridge-br-ex']);
      const { exitCode, stdout, stderr } = await run(['uninstall']);
      expect(`${stdout}${stderr}`).toMatch(/addresses stay on br-ex.*maru bridge release/);
      await machine.must('rmdir', ['/var/lib/maru-bridge/bridge-br-ex']);
      expect(stdout).toMatch(/kept: .*\/var\/lib\/maru-agent/);
      expect(exitCode).toBe(0);
      expect(
        (
          await machine.run('sh', [
            '-c',
            `ls /usr/lib/maru /usr/bin/maru ${manual} /etc/systemd/system/maru-*`,
          ])
        ).stdout,
      ).toBe('');
      expect(await machine.read('/etc/default/libvirt-guests')).not.toMatch(/^ON_BOOT/m);
      expect((await machine.run('pgrep', ['-f', '^/usr/bin/qemu-system.* guest='])).exitCode).toBe(0);
      for (const kept of [
        '/var/lib/maru/maru.db',
        '/var/lib/maru/images/*',
        '/var/lib/maru-agent/servers/*/root.qcow2',
      ])
        await machine.must('sh', ['-c', `ls ${kept}`]);
      const again = await run(['uninstall']);
      expect(again.stdout).toContain('nothing to do');
      expect((await run(['all-in-one'])).stderr).toBe('');
      await hostUp();
      expect(await maru('server', 'explain', 'web')).toMatch(/alpha/);
    },
    3 * STEP_MS,
  );

  it(
    'removes everything with --purge, and only with --yes',
    async () => {
      const asked = await run(['uninstall', '--purge']);
      expect(asked.exitCode).toBe(2);
      expect(asked.stderr).toMatch(/say --yes/);
      // disks on a file system of their own
      const agent = '/var/lib/maru-agent';
      await machine.must('mount', ['--bind', agent, agent]);
      await machine.must('mkdir', ['-p', `${agent}/volumes`]);
      await machine.must('mount', ['-t', 'tmpfs', 'none', `${agent}/volumes`]);
      const refused = await run(['uninstall', '--purge', '--yes']);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toContain(`mounted in it, which are not removed with it: ${agent}/volumes`);
      expect((await machine.run('systemctl', ['is-active', 'maru-agent'])).stdout).toBe('active\n');
      await machine.must('umount', [`${agent}/volumes`]);
      const theirs = ['-m', 'comment', '--comment', 'ssh for maru-admins', '-j', 'ACCEPT'];
      await machine.must('iptables', ['-A', 'INPUT', ...theirs]);
      const done = await run(['uninstall', '--purge', '--yes']);
      expect(done).toMatchObject({ exitCode: 0, stderr: '' });
      await machine.must('umount', [agent]);
      await machine.must('sh', ['-c', `rmdir ${agent} && iptables -D INPUT ${quoted(theirs)}`]);
      const left = `ls -d /var/lib/maru /var/lib/maru-agent /var/lib/maru-bridge /var/lib/maru-install /etc/maru /etc/openstack/clouds.yaml /usr/lib/maru*; getent passwd maru; ip netns list;
        virsh -q list --all; ip -br link | grep -E '^(tap|brq|vxlan)'; iptables-save | grep maru; nft list tables | grep maru;
        pgrep -a qemu; pgrep -a dnsmasq; systemctl list-unit-files 'maru-*' --no-legend`;
      const look = async () => (await machine.run('sh', ['-c', `{ ${left}; } 2>/dev/null`])).stdout;
      // what was killed is there until it is buried
      let seen = await look();
      for (const end = Date.now() + 60_000; seen !== '' && Date.now() < end; ) seen = await look();
      expect(seen).toBe('');
      await machine.must('ip', ['link', 'show', 'br-ex']);
    },
    STEP_MS,
  );
});

async function plugIn({ netns }: SystemdMachine): Promise<void> {
  for (const words of [
    'link add eth0 type veth peer name far0',
    `addr add ${ADDRESS}/24 dev eth0`,
    'link set eth0 up',
    'link set far0 up',
    'route add default via 203.0.113.1',
  ])
    await computer.run('ip', ['-n', netns, ...words.split(' ')]);
}

/** A cable between two machines. */
async function connect(one: SystemdMachine, other: SystemdMachine): Promise<void> {
  for (const words of [
    `-n ${one.netns} link add eth1 type veth peer name eth0 netns ${other.netns}`,
    `-n ${one.netns} addr add 192.0.2.1/24 dev eth1`,
    `-n ${one.netns} link set eth1 up`,
    `-n ${other.netns} addr add 192.0.2.2/24 dev eth0`,
    `-n ${other.netns} link set eth0 up`,
    `-n ${other.netns} route add default via 192.0.2.1`,
  ])
    await computer.run('ip', words.split(' '));
}

/** An image, networks with a router to the outside, and a server, as the administrator makes them. */
async function makeGuest(machine: SystemdMachine): Promise<void> {
  await machine.must('sh', ['-c', 'ip link add br-ex type bridge && ip link set br-ex up']);
  const commands = `image create --disk-format qcow2 --file ${IMAGE} tiny
flavor create --ram 128 --vcpus 1 --disk 1 small
network create inner
subnet create --network inner --subnet-range 198.18.0.0/24 inner4
network create --external --provider-network-type flat --provider-physical-network extnet outer
subnet create --network outer --no-dhcp --subnet-range 198.51.100.0/24 --allocation-pool start=198.51.100.50,end=198.51.100.90 outer4
router create r
router add subnet r inner4
router set --external-gateway outer r
`;
  const env = { OS_CLOUD: 'maru' };
  await machine.must('openstack', [], { input: commands, env });
  const create = 'server create --image tiny --flavor small --network inner --wait web -f value -c status';
  expect(await machine.must('openstack', create.split(' '), { env, timeoutMs: STEP_MS })).toContain('ACTIVE');
}
