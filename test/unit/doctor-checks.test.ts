import { describe, expect, it } from 'vitest';
import { CHECKS } from '../../agents/doctor/checks.js';
import { judge } from '../../agents/doctor/doctor.js';
import { parseMasquerades, parseSave } from '../../agents/doctor/facts/firewall.js';
import { readModules } from '../../agents/doctor/facts/machine.js';
import type { Facts } from '../../agents/doctor/facts.js';
import { fact, Look } from '../../agents/doctor/look.js';
import type { Host } from '../../agents/host/host.js';
import { reportText } from '../../src/cli/doctor-report.js';
import { but, link, WELL } from '../support/doctor/facts.js';

const links = (name: string, more: object) =>
  (WELL.links as Extract<Facts['links'], { known: true }>).value.map((one) =>
    one.name === name ? { ...one, ...more } : one,
  );
const settings = (more: object) => but('settings', { host: { ...WELL.settings.host!, ...more } });
const table = (more: object) =>
  but('firewall', {
    tables: [{ command: 'iptables-nft', forwardPolicy: 'ACCEPT', forward: [], postrouting: [], ...more }],
  });

/** One that lasts so many days from then on. */
function publicCertificate(what: string, days: number) {
  const to = new Date(Date.parse(WELL.now) + days * 86_400_000).toISOString();
  return { what, path: '/etc/ssl/api.pem', from: WELL.now, to, trusted: true, trustsController: null };
}

/** What is found with which facts, what is said of it, one of the commands. */
const CASES: readonly (readonly [check: string, facts: Facts, says: RegExp, mend: RegExp])[] = [
  ['not-root', { ...WELL, uid: { known: true, value: 1000 } }, /user 1000/, /sudo maru doctor/],
  [
    'configuration',
    but('settings', { problem: 'maru.yaml:3: unknown key' }),
    /maru\.yaml:3/,
    /^maru config check \/etc\/maru\/maru\.yaml$/,
  ],
  [
    'processor-without-virtualisation',
    kvmless({ extension: null, virtual: true }),
    /nested virtualisation is off/,
    /nested=1/,
  ],
  ['processor-without-virtualisation', kvmless({ extension: null }), /neither vmx nor svm/, /firmware/],
  ['kvm-missing', kvmless({ extension: 'svm' }), /\/dev\/kvm does not exist/, /^modprobe kvm_amd$/],
  [
    'kvm-hangs',
    but('kvm', { probe: 'failed', reason: 'ended with 1' }),
    /KVM does not work: ended with 1/,
    /dmesg/,
  ],
  ['old-kernel', but('system', { kernel: '5.4.0-9' }), /5\.4\.0-9; 5\.10 is the oldest/, /^reboot$/],
  ['unknown-distribution', but('system', { distribution: 'fedora', release: '40' }), /fedora 40/, /^$/],
  ['missing-modules', but('modules', { available: { vxlan: false } }), /no vxlan$/, /modprobe -a vxlan/],
  [
    'missing-modules',
    but('modules', { directory: false, available: { vxlan: null } }),
    /\/lib\/modules\/6\.1.* does not exist/,
    /^reboot$/,
  ],
  [
    'br-netfilter-missing',
    { ...WELL, sysctls: { known: true, value: {} } },
    /br_netfilter is not loaded/,
    /^modprobe br_netfilter$/,
  ],
  [
    'conntrack-full',
    but('sysctls', { 'net.netfilter.nf_conntrack_count': '255000' }),
    /255000 of 262144 connections .*97 %/,
    /nf_conntrack_max=524288/,
  ],
  [
    'conntrack-full',
    but('sysctls', { 'net.netfilter.nf_conntrack_max': '4096' }),
    /At most 4096 connections/,
    /nf_conntrack_max=262144/,
  ],
  [
    'router-advertisements-ignored',
    but(
      'routes',
      [{ family: 6, device: 'br-ex', gateway: 'fe80::1', metric: 1024, protocol: 'ra' }],
      but('sysctls', { 'net.ipv6.conf.br-ex.forwarding': '1' }),
    ),
    /accept_ra 1/,
    /accept_ra=2/,
  ],
  [
    'inotify-limits',
    but('sysctls', { 'fs.inotify.max_user_instances': '8' }),
    /max_user_instances is 8/,
    /max_user_instances=512/,
  ],
  ['open-files', but('sysctls', { 'fs.file-nr': '980\t0\t1000' }), /980 of 1000 files/, /fs\.file-max=2000/],
  [
    'bridge-down',
    but('links', links('eth0', { carrier: false })),
    /eth0, port of br-ex, has no carrier/,
    /ethtool eth0/,
  ],
  ['bridge-down', but('links', links('br-ex', { up: false })), /br-ex is down/, /^ip link set br-ex up$/],
  [
    'underlay-mtu',
    but('links', [...links('underlay', { mtu: 1500 }), link('vxlan-9', { kind: 'vxlan', mtu: 8950 })]),
    /MTU of 1500; tunnels need 9000: vxlan-9 has 8950/,
    /mtu 9000/,
  ],
  [
    'tunnel-peers',
    but('tunnelPeers', [{ address: '198.51.100.3', answers: true, size: 1500, fullSizeArrives: false }]),
    /1500 bytes does not reach 198\.51\.100\.3 whole/,
    /tracepath/,
  ],
  [
    'tunnel-peers',
    but('tunnelPeers', [{ address: '198.51.100.3', answers: false, size: 1500, fullSizeArrives: false }]),
    /1 host\(s\) .* do not answer/,
    /ping -c 3 198/,
  ],
  [
    'forward-drop',
    table({ forwardPolicy: 'DROP', forward: ['-A FORWARD -j DOCKER-USER', '-A FORWARD -j maru-FORWARD'] }),
    /DROP in iptables-nft \(Docker sets this\), and the agent’s chain is only its rule 2/,
    /^systemctl restart maru-agent$/,
  ],
  [
    'foreign-nat',
    table({ postrouting: ['-A POSTROUTING -o br-ex -j MASQUERADE'] }),
    /-A POSTROUTING -o br-ex/,
    /-t nat -D POSTROUTING/,
  ],
  ['firewall-manager', but('firewall', { ufw: true }), /ufw is active/, /ufw allow 5443/],
  [
    'libvirt-version',
    but('libvirt', { version: '6.0.0' }),
    /libvirt is 6\.0\.0; 8\.0/,
    /apt-get install libvirt/,
  ],
  [
    'libvirt-down',
    but('libvirt', { answers: 'no', problem: 'authentication failed' }),
    /libvirt refuses: authentication failed/,
    /restart libvirtd/,
  ],
  [
    'libvirt-default-network',
    but('defaultNetwork', { subnet: '192.0.2.1/24' }),
    /is active with 192\.0\.2\.1\/24/,
    /^virsh net-destroy default$/,
  ],
  [
    'memory-overcommitted',
    but('memory', { guests: 70_000 }),
    /70000 MiB, and this machine has 64000/,
    /domstats/,
  ],
  ['little-memory', but('memory', { available: 900 }), /900 of 64000 MiB/, /sort=-rss/],
  ['swapping', but('memory', { swapFree: 100 }), /1900 of 2000 MiB of swap/, /swappiness/],
  [
    'dnsmasq-everywhere',
    but('sockets', [
      ...sockets(),
      { protocol: 'udp', address: '0.0.0.0', port: 53, process: 'dnsmasq', pid: 3 },
    ]),
    /0\.0\.0\.0:53/,
    /disable --now dnsmasq/,
  ],
  [
    'controller-unreachable',
    but('controller', { reached: false, problem: 'connect ECONNREFUSED' }),
    /does not answer: connect ECONNREFUSED/,
    /sport = :5443/,
  ],
  ['clock-skew', but('controller', { ahead: -7 }), /7 s behind the controller/, /set-ntp/],
  [
    'no-time-sync',
    but('timeSync', { synchronized: false }),
    /chronyd runs, but the clock is not synchronised/,
    /chronyc sources/,
  ],
  [
    'certificates',
    { ...WELL, now: '2026-06-13T00:00:00.000Z' },
    /expires at 2026-06-19.*, in 6 day/,
    /restart maru-agent/,
  ],
  ['certificates', { ...WELL, now: '2026-05-01T00:00:00.000Z' }, /valid only from 2026-05-20/, /timedatectl/],
  [
    'certificates',
    { ...WELL, now: '2036-02-01T00:00:00.000Z' },
    /authority of this cloud .* expired .* 31 day/,
    /maru ca rotate/,
  ],
  [
    'unit-paths',
    but('closed', [{ program: 'controller', key: 'state_dir', path: '/srv/maru', because: 'closed' }]),
    /controller\.state_dir is in \/srv\/maru, to which the sandbox of maru-controller\.service/,
    /^maru install controller$/,
  ],
  [
    'unit-paths',
    but('closed', [{ program: 'agent', key: 'log_file', path: '/home/x', because: 'hidden' }]),
    /agent\.log_file is in \/home\/x, which the sandbox of maru-agent\.service hides/,
    /choose another agent\.log_file/,
  ],
  ...(
    [
      ['api-own', /public API .* in 12 day/, /^maru install controller$/],
      ['api-given', /public API .* in 12 day/, /^systemctl reload maru-controller$/],
      ['api-authority', /authority of the public API .* in 12 day/, /^maru install controller --tls own$/],
    ] as const
  ).map(([what, says, mend]): (typeof CASES)[number] => [
    'certificates',
    but('certificates', [publicCertificate(what, 12)]),
    says,
    mend,
  ]),
  [
    'foreign-authority',
    but('certificates', [
      { what: 'agent', path: 'x', from: WELL.now, to: '2026-07-01', trusted: false, trustsController: null },
    ]),
    /not from an authority that is beside it/,
    /maru agent --join/,
  ],
  [
    'database',
    but('database', { problem: 'file is not a database' }),
    /cannot be used: file is not a database/,
    /journalctl/,
  ],
  [
    'underlay-address-missing',
    settings({ underlay_ip: '203.0.113.9' }),
    /203\.0\.113\.9, which no device/,
    /agent\.underlay_ip/,
  ],
  [
    'bridge-missing',
    settings({ physical_networks: { lab: 'br-lab' } }),
    /no bridge br-lab, which provider network 'lab'/,
    /^maru bridge br-lab --uplink DEVICE$/,
  ],
];

function kvmless(more: object): Facts {
  return but('processor', more, but('kvm', { device: false, mode: null, group: null, probe: 'not tried' }));
}

function sockets() {
  return (WELL.sockets as Extract<Facts['sockets'], { known: true }>).value;
}

describe('doctor’s checks', () => {
  it('are more than 25, each with an id of its own and a title', () => {
    const ids = CHECKS.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(45);
    expect(new Set(ids).size).toBe(ids.length);
    expect(CHECKS.filter(({ title }) => title === '')).toEqual([]);
  });

  it('find nothing where nothing is wrong', () => {
    const { findings, unknown, fine } = judge(WELL);
    expect(findings).toEqual([]);
    expect(unknown).toEqual([]);
    expect(fine).toHaveLength(CHECKS.length);
  });

  it.each(CASES.map(([check, facts, says, mend]) => ({ check, facts, says, mend })))(
    '$check: $says',
    ({ check, facts, says, mend }) => {
      const found = judge(facts).findings.filter((one) => one.check === check);
      expect(found.map(({ what }) => what).join('\n')).toMatch(says);
      const commands = found.flatMap((one) => one.mend);
      if (mend.source !== '^$') expect(commands.filter((line) => mend.test(line))).not.toEqual([]);
      for (const { why } of found) expect(why.length).toBeGreaterThan(10);
    },
  );

  it('say of what could not be looked at that it is not known, never that it is fine', () => {
    const { fine, unknown } = judge({ ...WELL, firewall: { known: false, because: 'nft: not permitted' } });
    expect(fine.map(({ check }) => check)).not.toContain('forward-drop');
    expect(unknown).toContainEqual({
      check: 'forward-drop',
      title: 'Nobody else drops forwarded packets',
      because: 'nft: not permitted',
    });
  });

  it('are those of the roles and the phase', () => {
    const controller = judge({ ...WELL, roles: ['controller'] });
    const names = controller.fine.map(({ check }) => check);
    expect(names).toContain('database');
    expect(names).not.toContain('bridge-stp');
    const before = judge({ ...WELL, phase: 'before', sockets: { known: true, value: [] } });
    expect(before.findings).toEqual([]);
  });

  it('leave Docker’s own rules and the guard before a foreign rule alone', () => {
    const text = [
      '*nat',
      '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
      'COMMIT',
      '*filter',
      ':FORWARD ACCEPT [0:0]',
      'COMMIT',
    ].join('\n');
    const facts = table(parseSave(text));
    expect(judge(facts).findings).toEqual([]);
  });

  it('of foreign rules of NAT are for those alone that guests’ packets meet', () => {
    const said = (facts: Facts) => judge(facts).findings.map(({ check, what }) => `${check}: ${what}`);
    const harmless = [
      '-m addrtype --src-type LOCAL -j MASQUERADE',
      '-o docker_gwbridge -m addrtype --src-type LOCAL -j MASQUERADE',
      '-o wg0 -j MASQUERADE',
      '-o wg+ -j SNAT --to-source 203.0.113.1',
      '-m physdev ! --physdev-is-bridged -j MASQUERADE',
      '-m owner --uid-owner 33 -j MASQUERADE',
    ].map((rule) => `-A POSTROUTING ${rule}`);
    const harmful = [
      '-m addrtype ! --src-type LOCAL -j MASQUERADE',
      '! -o docker0 -j MASQUERADE',
      '-o eth0 -j MASQUERADE',
      '-o br-+ -j MASQUERADE',
      '-j MASQUERADE',
    ].map((rule) => `-A POSTROUTING ${rule}`);
    expect(said(table({ postrouting: [...harmless, ...harmful] }))).toEqual(
      harmful.map((rule) => `foreign-nat: iptables-nft has, in table nat: ${rule}`),
    );

    const rule = (handle: number, ...match: object[]) => ({
      rule: { handle, expr: [...match.map((one) => ({ match: one })), { masquerade: null }] },
    });
    const out = (right: unknown, op = '==') => ({ op, left: { meta: { key: 'oifname' } }, right });
    const local = (op: string) => ({
      op,
      left: { fib: { result: 'type', flags: ['saddr'] } },
      right: 'local',
    });
    const saddr = { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: '203.0.113.1' };
    const listed = {
      nftables: [
        rule(1, out('wg0')),
        rule(2, out({ set: ['wg0', 'eth0'] })),
        rule(3, out('docker*')),
        rule(4, out('wg0', '!=')),
        rule(5, local('==')),
        rule(6, local('!=')),
        rule(7, saddr),
        rule(8, out('@ways')),
        rule(9),
      ],
    };
    const chain = { family: 'ip', table: 'way', name: 'out', hook: 'postrouting', policy: 'accept' };
    const chains = [{ ...chain, masquerades: parseMasquerades(JSON.stringify(listed)) }];
    const [finding] = judge(but('firewall', { chains })).findings;
    expect(finding!.mend.filter((line) => /delete|flush/.test(line))).toEqual(
      [2, 4, 6, 8, 9].map((handle) => `nft delete rule ip way out handle ${handle}`),
    );
  });

  it('restart no unit on which the way to the machine or its guests hangs', () => {
    const failed = [
      'networking.service',
      'NetworkManager.service',
      'systemd-networkd.service',
      'ssh.service',
      'nftables.service',
      'maru-bridge-revert.service',
      'libvirt-guests.service',
      'libvirtd.service',
      'backup.service',
    ];
    const { findings } = judge(but('units', { failed }));
    const commands = findings.flatMap(({ mend }) => mend).filter((line) => !line.startsWith('#'));
    expect(commands.filter((line) => !line.startsWith('journalctl'))).toEqual([
      'systemctl restart libvirtd.service',
      'systemctl restart backup.service',
    ]);
    const alone = judge(but('units', { failed: ['ssh.service'] })).findings[0]!;
    expect(alone.mend).toEqual([
      'journalctl -u ssh.service -b -n 30 --no-pager',
      expect.stringMatching(/^# not restarted .*: ssh\.service;/),
      '# or, when it does not matter: systemctl reset-failed ssh.service',
    ]);
  });

  it('open forwarding for everybody only with a warning, and take no route before there is another', () => {
    const mend = (facts: Facts) => judge(facts).findings.flatMap((one) => one.mend);
    const legacy = { command: 'iptables-legacy', forwardPolicy: 'DROP', forward: [], postrouting: [] };
    expect(mend(table(legacy))).toEqual([
      expect.stringMatching(/^# this opens forwarding .*Docker or ufw/),
      'iptables-legacy -P FORWARD ACCEPT',
    ]);
    expect(mend({ ...table({ forwardPolicy: 'DROP' }), phase: 'before' })).toEqual([
      expect.stringMatching(/^# nothing has to be done/),
    ]);
    const route = { family: 4, device: 'eth0', gateway: '192.0.2.254', metric: 50, protocol: 'static' };
    expect(mend(but('routes', [route]))).toEqual([
      'ip -4 route replace default via 192.0.2.254 dev br-ex metric 50 && ip -4 route del default via 192.0.2.254 dev eth0 metric 50 2>/dev/null',
    ]);
  });

  it('take an agent’s sandbox, which hides the modules, for no fault of the machine', async () => {
    const sandboxed = (outside: { exitCode: number; stderr: string }) =>
      new Look({
        stat: async () => null,
        read: async (command: string) => ({ stdout: '', ...(command === 'nsenter' ? outside : MISSING) }),
      } as unknown as Host);
    const MISSING = { exitCode: 1, stderr: '' };
    const modules = (outside: { exitCode: number; stderr: string }) =>
      fact(() => readModules(sandboxed(outside), '6.1.0', true));
    const said = (facts: Facts) => judge(facts).findings.map(({ check, mend }) => [check, mend.at(-1)]);
    expect(said({ ...WELL, modules: await modules({ exitCode: 0, stderr: '' }) })).toEqual([]);
    // gone outside too: an upgrade
    expect(said({ ...WELL, modules: await modules(MISSING) })).toEqual([['missing-modules', 'reboot']]);
    const refused = { ...WELL, modules: await modules({ exitCode: 1, stderr: 'nsenter: not permitted\n' }) };
    expect(said(refused)).toEqual([]);
    expect(judge(refused).unknown).toContainEqual(
      expect.objectContaining({
        check: 'missing-modules',
        because: expect.stringContaining('not permitted'),
      }),
    );
  });

  it('are told with the gravest first, and commands that can be pasted', () => {
    const facts = but('memory', { guests: 70_000 }, but('timeSync', { synchronized: null, daemon: null }));
    expect(
      reportText(judge(facts), false),
    ).toBe(`h1 (controller and host): 1 wrong, 1 warning, ${CHECKS.length - 2} fine

WRONG    Running guests may use 70000 MiB, and this machine has 64000 MiB  [memory-overcommitted]
         when they do, the kernel swaps, or ends one of them (dmesg: Out of memory)
         $ virsh list && virsh domstats --balloon --list-running
           # stop or move guests; lower controller.ram_allocation_ratio to 1 for those to come

warning  No program keeps this machine’s clock right  [no-time-sync]
         it drifts by seconds a day, until certificates and logs do not match those of other machines
         $ apt-get install chrony

`);
  });
});

it('the public certificate is told of in its last 14 days, and not before', () => {
  for (const what of ['api-own', 'api-given'])
    for (const [days, told] of [
      [15, 0],
      [13, 1],
    ] as const)
      expect(judge(but('certificates', [publicCertificate(what, days)])).findings).toHaveLength(told);
});
