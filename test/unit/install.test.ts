import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { machine, quoted } from '../../scripts/install.d/actions.js';
import { withoutRule, withRule } from '../../scripts/install.d/apparmor.js';
import { merged } from '../../scripts/install.d/config-file.js';
import { withoutStart } from '../../scripts/install.d/libvirt.js';
import { physicalNetworks } from '../../scripts/install.d/options.js';
import { isOurRule } from '../../scripts/install.d/purge.js';
import { runSteps, type Step } from '../../scripts/install.d/run-steps.js';
import { issueServer, makeAuthority, problemOf } from '../../src/api/server-certificate.js';
import { createProgram } from '../../src/cli/program.js';

describe('what an installation writes into maru.yaml', () => {
  const wanted = [
    { path: ['controller', 'listen'], value: '0.0.0.0:5000', given: false },
    { path: ['agent', 'physical_networks'], value: { extnet: 'br-ex' }, given: false },
  ] as const;

  it('a new file has everything, and a second time nothing changes', () => {
    const first = merged(null, wanted);
    expect(first).toContain(
      'controller:\n  listen: 0.0.0.0:5000\nagent:\n  physical_networks:\n    extnet: br-ex\n',
    );
    expect(merged(first, wanted)).toBe(first);
  });

  it("the operator's values and comments stay, unless the option is given", () => {
    const mine = '# mine\ncontroller:\n  listen: 192.0.2.1:5000 # inside only\n  region: North\n';
    const kept = merged(mine, wanted);
    expect(kept).toContain('# mine\ncontroller:\n  listen: 192.0.2.1:5000 # inside only\n  region: North\n');
    expect(kept).toContain('extnet: br-ex');
    const [listen] = wanted;
    expect(merged(mine, [{ ...listen, given: true }])).toContain('listen: 0.0.0.0:5000');
  });

  it('a key that an option takes away goes', () => {
    const before = 'controller:\n  tls_cert_file: /a\n  region: North\n';
    const path = ['controller', 'tls_cert_file'] as const;
    expect(merged(before, [{ path, value: undefined, given: true }])).toBe('controller:\n  region: North\n');
    expect(merged(before, [{ path, value: undefined, given: false }])).toBe(before);
  });

  it('a file that is no YAML is not overwritten', () => {
    expect(() => merged('controller: [', wanted)).toThrow(/maru\.yaml: /);
  });
});

it('libvirt-guests starts nothing at boot, whatever its file said', () => {
  const both = 'ON_BOOT=ignore\nON_SHUTDOWN=shutdown\n';
  expect(withoutStart(null)).toBe(both);
  expect(withoutStart('#ON_BOOT=start')).toBe(`#ON_BOOT=start\n${both}`);
  expect(withoutStart('ON_BOOT=start\nX=1\nON_SHUTDOWN=suspend\n')).toBe(
    'ON_BOOT=ignore\nX=1\nON_SHUTDOWN=shutdown\n',
  );
  expect(withoutStart(both)).toBe(both);
});

it("libvirt's AppArmor helper may read base images; other additions stay, with and after ours", () => {
  const own = '# site\n/srv/images/** r,\n';
  const state = '/var/lib/maru-agent';
  const all = withRule(own, state);
  expect(all).toMatch(
    /^# site\n\/srv\/images\/\*\* r,\n# Maru: .*\n\/var\/lib\/maru-agent\/\{images,servers,volumes\}\/\*\* r,\n$/,
  );
  expect(withRule(all, state)).toBe(all);
  const moved = withRule(all, '/srv/our agent/');
  expect(moved).toMatch(/\n"\/srv\/our agent\/\{images,servers,volumes\}\/\*\*" r,\n$/);
  expect(moved).not.toContain(state);
  expect(withoutRule(moved)).toBe(own);
  expect(withoutRule(all)).toBe(own);
  expect(withoutRule(withRule('', state))).toBe('');
});

describe('the certificate of the public API', () => {
  it('is of its authority, for names and addresses', async () => {
    const authority = await makeAuthority('cloud');
    const pair = await issueServer(authority, ['cloud.example.org', '203.0.113.2', '2001:db8::2']);
    expect(problemOf(pair, ['cloud.example.org', '203.0.113.2', '2001:db8::2'], 60)).toBeNull();
    expect(problemOf(pair, ['203.0.113.3'])).toBe('it is not valid for 203.0.113.3');
    expect(problemOf(pair, [], 900)).toMatch(/^it ends on /);
    const certificate = new X509Certificate(pair.certificate);
    expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(pair.key))).toBe(true);
  });

  it('is refused with a key that is not its own, or when it is none', async () => {
    const [one, other] = await Promise.all([makeAuthority('a'), makeAuthority('b')]);
    expect(problemOf({ certificate: one.certificate, key: other.key }, [])).toBe(
      'the key is not that of the certificate',
    );
    expect(problemOf({ certificate: 'x', key: one.key }, [])).toMatch(/cannot be read/);
  });
});

it('physical networks are ALIAS:BRIDGE', () => {
  expect(physicalNetworks(['extnet:br-ex', 'lan:br-lan'])).toEqual({ extnet: 'br-ex', lan: 'br-lan' });
  for (const wrong of ['extnet', 'extnet:', ':br-ex', 'a:b:c', 'extnet:a-name-too-long-for-linux'])
    expect(() => physicalNetworks([wrong])).toThrow(/must be ALIAS:BRIDGE/);
});

it("a purge takes Maru's chains and the jumps to them, and no rule that only speaks of Maru", () => {
  for (const ours of [
    ':maru-FORWARD - [0:0]',
    '-A maru-FORWARD -j ACCEPT',
    '[12:840] -A maru-in -j RETURN',
    '[0:0] -A FORWARD -m physdev --physdev-is-bridged -j maru-bridged',
    '-A INPUT -m comment --comment "a \\" b" -g maru-INPUT',
  ])
    expect(isOurRule(ours), ours).toBe(true);
  for (const theirs of [
    '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "ssh for maru-admins" -j ACCEPT',
    '[1:60] -A INPUT -m comment --comment "not -j maru-in" -j ACCEPT',
    '-A INPUT -m comment --comment maru-admins -j ACCEPT',
    ':not-maru-chain - [0:0]',
    '-A my-maru-chain -j ACCEPT',
  ])
    expect(isOurRule(theirs), theirs).toBe(false);
});

it('the API has a port that a user without privileges may listen on', () => {
  const install = createProgram().commands.find((command) => command.name() === 'install');
  for (const role of ['controller', 'all-in-one']) {
    const command = install?.commands.find((one) => one.name() === role);
    const port = command?.options.find(({ long }) => long === '--api-port');
    const parse = (text: string) => port?.parseArg?.(text, undefined);
    expect([parse('1024'), parse('5000'), parse('65535')]).toEqual([1024, 5000, 65_535]);
    for (const low of ['443', '1', '1023']) expect(() => parse(low), low).toThrow(/put a proxy/);
    for (const none of ['abc', '', '0', '65536', '5000.5', '-5000', '1e4'])
      expect(() => parse(none), none).toThrow(/1024 to 65535/);
  }
});

it('a host has the packages that its commands need, each named once', async () => {
  const list = await machine.read('bash', [
    '-c',
    '. scripts/lib/packages.sh; packages_for host; echo; packages_for test',
  ]);
  const [host = '', test = ''] = list.stdout.split('\n\n').map((text) => text.trim());
  // maru bridge --controller asks with it whether the controller can be reached
  expect(host.split('\n')).toContain('curl');
  const all = test.split('\n');
  expect(all.length).toBe(new Set(all).size);
});

it('commands are shown as they can be pasted', () => {
  expect(quoted(['sysctl', '-w', 'a=1', "it's", 'a b'])).toBe(`sysctl -w a=1 'it'\\''s' 'a b'`);
});

describe('steps', () => {
  const lines: string[] = [];
  const print = (line: string) => void lines.push(line);
  const step = (name: string, done: string[], fail = false): Step => ({
    name,
    advice: 'Look there.',
    look: async () =>
      done.includes(name)
        ? []
        : [
            {
              do: 'call',
              say: `do ${name}`,
              call: async () => {
                if (fail) throw new Error('no room');
                done.push(name);
              },
            },
          ],
  });

  it('say what failed and how to go on, and go on', async () => {
    const done: string[] = [];
    const failing = [step('a', done), step('b', done, true), step('c', done)];
    await expect(runSteps(failing, { dryRun: false, print })).rejects.toThrow(
      "step 'b': no room\nLook there.\nThen run the same command again: it goes on from here.",
    );
    expect(done).toEqual(['a']);
    const mended = ['a', 'b', 'c'].map((name) => step(name, done));
    expect((await runSteps(mended, { dryRun: false, print })).changes).toBe(2);
    expect((await runSteps(mended, { dryRun: false, print })).changes).toBe(0);
  });

  it('of a dry run do nothing', async () => {
    const done: string[] = [];
    lines.length = 0;
    const outcome = await runSteps([step('a', done), step('b', done)], { dryRun: true, print });
    expect(outcome.changes).toBe(2);
    expect(done).toEqual([]);
    expect(lines).toEqual(['a: would do a', 'b: would do b']);
  });
});
