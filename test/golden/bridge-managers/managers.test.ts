import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BridgeRefusal } from '../../../agents/bridge/manager.js';
import { type Evidence, managerOf } from '../../../agents/bridge/managers/detect.js';
import { clientOf, handOverDhclient } from '../../../agents/bridge/managers/dhcp-client.js';
import { planDhcpcd } from '../../../agents/bridge/managers/dhcpcd.js';
import { ifupdownFile, ifupdownReleased } from '../../../agents/bridge/managers/ifupdown-files.js';
import { parseIni } from '../../../agents/bridge/managers/ini.js';
import { linkDnsCommands, valuesOf } from '../../../agents/bridge/managers/link-dns.js';
import { refuseRuntime } from '../../../agents/bridge/managers/netplan.js';
import { netplanFile, netplanReleased } from '../../../agents/bridge/managers/netplan-files.js';
import { identityOf, parseStatus } from '../../../agents/bridge/managers/networkctl.js';
import { inForce, refuseEarlier } from '../../../agents/bridge/managers/networkd.js';
import { networkdAside, networkdKeeping } from '../../../agents/bridge/managers/networkd-aside.js';
import { networkdFiles, networkdReleased } from '../../../agents/bridge/managers/networkd-files.js';
import { nmDisabled, nmFiles, nmReleased } from '../../../agents/bridge/managers/nm-files.js';
import { parseDhcpIdentity } from '../../../agents/bridge/managers/nmcli.js';
import type { Snapshot } from '../../../agents/bridge/model.js';

const DEVICE = { bridge: 'br-ex', uplink: 'eth0', mac: '52:54:00:00:00:10', mtu: 1450 };
const golden = (name: string) => join(import.meta.dirname, name);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'maru-managers-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe('networkd', () => {
  const render = async (name: string, identity: Parameters<typeof networkdFiles>[0]['identity']) => {
    const text = await readFile(golden(`${name}.network`), 'utf8');
    return networkdFiles({ ...DEVICE, source: `${name}.network`, sections: parseIni(text, true)!, identity });
  };

  it('divides a file with everything', async () => {
    const identity = identityOf('ff1a4517b600020000ab11f90883709be85a38', null);
    const files = await render('full', identity);
    await expect(
      `${files.netdev}\n---\n${files.bridgeNetwork}\n---\n${files.portNetwork}\n---\n${files.warnings.join('\n')}\n`,
    ).toMatchFileSnapshot(golden('full.networkd.txt'));
  });

  it('gives it back with all settings when the original is gone', async () => {
    const { bridgeNetwork, portNetwork } = await render('full', null);
    const released = networkdReleased(
      'eth0',
      'br-ex',
      parseIni(portNetwork, true)!,
      parseIni(bridgeNetwork, true)!,
    );
    await expect(released).toMatchFileSnapshot(golden('full.networkd-released.txt'));
  });

  it.each([
    ['[Match]\nName=eth0\n[Network]\nVLAN=vlan7\n', /VLAN=vlan7/],
    ['[Match]\nName=eth0\n[Network]\nMACVLAN=mv\n', /MACVLAN=mv/],
    ['[Match]\nName=eth0\n[Bridge]\nCost=3\n', /\[Bridge\]/],
    ['[Match]\nName=eth0\n[Link]\nActivationPolicy=manual\n', /ActivationPolicy=manual/],
    ['[Match]\nName=eth0\n[Novelty]\nX=1\n', /\[Novelty\]/],
  ])('refuses what has no place: %j', (text, reason) => {
    const sections = parseIni(text, true)!;
    expect(() => networkdFiles({ ...DEVICE, source: 'x.network', sections, identity: null })).toThrow(reason);
  });

  it('refuses a file that would win against its own', () => {
    const ours = '05-maru-eth0.network';
    for (const name of ['00-lan', '05-lan', '01-x', '05-maru-eth0'])
      expect(() => refuseEarlier(`/etc/systemd/network/${name}.network`, ours)).toThrow(/comes before/);
    expect(() => refuseEarlier('/etc/systemd/network/00-lan.network', ours)).toThrow('to 10-lan.network');
    for (const name of ['10-lan', '50-cloud', 'lan'])
      expect(() => refuseEarlier(`/etc/systemd/network/${name}.network`, ours)).not.toThrow();
  });

  it('fails when networkd has another file in force', async () => {
    const bin = join(directory, 'bin');
    await mkdir(bin, { recursive: true });
    const says = '#!/bin/sh\necho "     Network File: /run/systemd/network/05-maru-$4.network"\n';
    await writeFile(join(bin, 'networkctl'), says, { mode: 0o755 });
    await writeFile(join(bin, 'sleep'), '#!/bin/sh\n', { mode: 0o755 });
    const [command, ...args] = inForce('br-ex', '05-maru-br-ex.network');
    const env = { PATH: `${bin}:${process.env.PATH}` };
    expect((await execa(command!, args, { env })).exitCode).toBe(0);
    const wrong = await execa(command!, [...args.slice(0, -1), '05-maru-eth0.network'], {
      env,
      reject: false,
    });
    expect(wrong.exitCode).toBe(1);
    expect(wrong.stderr).toMatch(
      /05-maru-br-ex\.network\nnetworkd does not use 05-maru-eth0\.network on br-ex/,
    );
  });

  it('knows itself by its lease and its status', () => {
    expect(identityOf('01525400000010', null)).toEqual({ clientIdentifier: 'mac', iaid: null, duid: null });
    expect(identityOf(null, null)).toBeNull();
    const status = parseStatus(
      '● 2: eth0\n    Network File: /etc/systemd/network/10.network\n    State: routable (configured)\n' +
        '    DHCP6 Client IAID: 0x1a4517b6\n    DHCP6 Client DUID: DUID-EN/Vendor:0000ab11f90883709be85a38\n',
    );
    expect(status).toMatchObject({ setup: 'configured', file: '/etc/systemd/network/10.network' });
    expect(identityOf(null, status.dhcp6)).toEqual({
      clientIdentifier: 'duid',
      iaid: '0x1a4517b6',
      duid: { type: 2, data: '00:00:ab:11:f9:08:83:70:9b:e8:5a:38' },
    });
    expect(parseStatus('● 3: eth1\n    Network File: n/a\n    State: off (unmanaged)\n').file).toBeNull();
  });
});

describe('networkd during a release', () => {
  const address = (text: string, validSeconds: number | null) =>
    ({ address: text, validSeconds }) as Snapshot['addresses'][number];
  const aside = (...addresses: Snapshot['addresses']) =>
    networkdAside('br-ex', 'eth0', { addresses } as unknown as Snapshot);

  it('leaves bridge and port alone while fixed addresses move, and goes by its files afterwards', () => {
    const { files, begin, end } = aside(address('192.0.2.10', null), address('fe80::1', null));
    expect(begin).toEqual([['networkctl', 'reload']]);
    expect(end).toEqual([['rm', '-f', ...files.map(({ path }) => path)]]);
    const [bridge, port] = files;
    expect(bridge!.content).toMatch(
      /Name=br-ex[\s\S]*KeepConfiguration=static[\s\S]*LinkLocalAddressing=ipv6/,
    );
    expect(port!.content).toMatch(/Name=eth0[\s\S]*LinkLocalAddressing=no[\s\S]*KeepMaster=yes/);
  });

  it('does not end a DHCP client by that, which would take its address along', () => {
    expect(aside(address('192.0.2.10', null), address('192.0.2.11', 600))).toEqual({
      files: [],
      begin: [],
      end: [],
    });
  });

  it('keeps fixed addresses unless the file says what is kept', () => {
    expect(networkdKeeping({ name: 'a.network', text: '[Network]\nAddress=192.0.2.10/24\n' })).toMatchObject({
      path: '/run/systemd/network/a.network.d/50-maru-keep.conf',
      content: expect.stringContaining('KeepConfiguration=static'),
    });
    expect(networkdKeeping({ name: 'a.network', text: '[Network]\nKeepConfiguration=yes\n' })).toBeNull();
  });
});

describe('netplan', () => {
  const take = (text: string, path = 'x.yaml') => netplanFile({ ...DEVICE, path, text, first: true });

  it.each(['full', 'cloud-init', 'bond'])(
    '%s: what netplan makes of it has the bridge with everything',
    async (name) => {
      const text = await readFile(golden(`${name}.netplan.yaml`), 'utf8');
      const uplink = name === 'bond' ? 'bond0' : 'eth0';
      const changed = netplanFile({ ...DEVICE, uplink, path: 'x.yaml', text, first: true })!;
      await expect(changed).toMatchFileSnapshot(golden(`${name}.netplan-taken.yaml`));
      await expect(await generated(changed, name)).toMatchFileSnapshot(
        golden(`${name}.netplan-generated.txt`),
      );
      // and the way back says what the original said
      const back = netplanReleased('br-ex', uplink, DEVICE.mac, 'x.yaml', changed)!;
      expect(await generated(back, `${name}-back`)).toBe(await generated(text, `${name}-before`));
    },
  );

  it('leaves files about other devices alone', () => {
    expect(take('network:\n  ethernets:\n    eth1: {dhcp4: true}\n')).toBeNull();
  });

  it.each([
    ['network: {ethernets: {eth0: {dhcp4: true, novelty: 1}}}', /ethernets.eth0.novelty/],
    ['network: {ethernets: {eth0: {openvswitch: {}}}}', /openvswitch/],
    ['network: {ethernets: {eth0: {dhcp4: true}}, bridges: {br-ex: {}}}', /has a bridge br-ex already/],
    ['network: [', /is not YAML/],
  ])('refuses %s', (text, reason) => {
    expect(() => take(text)).toThrow(reason);
  });

  it('refuses files in /run, which a trial would take the place of', () => {
    const name = 'eth0.yaml';
    expect(() => refuseRuntime([{ path: `/run/netplan/${name}`, name }])).toThrow(
      /\/run\/netplan\/eth0\.yaml is in force[\s\S]*\/etc\/netplan\/eth0\.yaml/,
    );
    expect(() => refuseRuntime([{ path: `/etc/netplan/${name}`, name }])).not.toThrow();
  });

  /** The units that netplan generates, without those of other programs. */
  async function generated(text: string, name: string): Promise<string> {
    const root = join(directory, name);
    await mkdir(join(root, 'etc/netplan'), { recursive: true });
    await writeFile(join(root, 'etc/netplan/50.yaml'), text, { mode: 0o600 });
    await execa('netplan', ['generate', '--root-dir', root]);
    const units = join(root, 'run/systemd/network');
    const parts = (await readdir(units))
      .sort()
      .map(async (unit) => `# ${unit}\n${await readFile(join(units, unit), 'utf8')}`);
    return (await Promise.all(parts)).join('\n');
  }
});

describe('ifupdown', () => {
  const take = (text: string) => ifupdownFile({ ...DEVICE, path: 'interfaces', text, first: true });

  it.each(['full', 'installer'])('%s: ifquery and ifup understand it', async (name) => {
    const text = await readFile(golden(`${name}.interfaces`), 'utf8');
    const { text: changed, warnings } = take(text);
    await expect(`${changed}---\n${warnings.join('\n')}\n`).toMatchFileSnapshot(
      golden(`${name}.interfaces-taken.txt`),
    );
    const file = join(directory, `${name}.interfaces`);
    await writeFile(file, changed);
    const query = await execa('ifquery', ['-i', file, 'br-ex']);
    expect(query.stdout).toMatch(/^bridge_ports: eth0$|^bridge-ports: eth0$/m);
    const { stderr } = await execa('ifup', [
      '-i',
      file,
      '--no-act',
      '--force',
      '--no-loopback',
      '--state-dir',
      directory,
      'br-ex',
    ]);
    await expect(`${query.stdout}\n---\n${stderr.replaceAll(/\/tmp\/\S+/g, 'FILE')}\n`).toMatchFileSnapshot(
      golden(`${name}.interfaces-understood.txt`),
    );
    expect(words(ifupdownReleased('br-ex', 'eth0', changed))).toEqual(
      words(name === 'installer' ? text.replace('allow-hotplug', 'auto') : text),
    );
  });

  it.each([
    [
      'bond0',
      'iface bond0 inet static\n    address 192.0.2.10/24\n    bond-slaves eth0 eth1\n    bond-mode active-backup\n',
      ['bond-slaves eth0 eth1', 'bond-mode active-backup'],
    ],
    [
      'eth0.100',
      'iface eth0.100 inet static\n    address 192.0.2.10/24\n    vlan-raw-device eth0\n',
      ['vlan-raw-device eth0'],
    ],
  ])('%s as the uplink stays what it is, as a port', async (uplink, stanza, own) => {
    const text = `auto ${uplink}\n${stanza}`;
    const changed = ifupdownFile({ ...DEVICE, uplink, path: 'interfaces', text, first: true }).text;
    const file = join(directory, `${uplink}.interfaces`);
    await writeFile(file, changed);
    const query = async (device: string) =>
      (await execa('ifquery', ['-i', file, device])).stdout.replaceAll('_', '-');
    const [bridge, port] = [await query('br-ex'), await query(uplink)];
    expect(bridge).toContain(`bridge-ports: ${uplink}`);
    expect(bridge).toContain('address: 192.0.2.10');
    expect(port).not.toContain('address:');
    for (const option of own) {
      expect(port).toContain(option.replace(' ', ': '));
      expect(bridge).not.toContain(option.split(' ')[0]);
    }
    expect(changed).toContain(`auto ${uplink} br-ex`);
    expect(words(ifupdownReleased('br-ex', uplink, changed))).toEqual(words(text));
  });

  it('says the metric that a client would make from the index of the device', () => {
    const taken = (text: string) =>
      ifupdownFile({ ...DEVICE, metric: 1002, path: 'interfaces', text, first: true });
    expect(taken('iface eth0 inet dhcp\n').text).toMatch(/^ {4}metric 1002$/m);
    expect(taken('iface eth0 inet dhcp\n    metric 7\n').text).not.toContain('1002');
    expect(taken('iface eth0 inet static\n    address 192.0.2.1/24\n').text).not.toContain('1002');
  });

  /** Lines in any order, without comments and what only a takeover adds. */
  function words(text: string): string[] {
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#') && line !== 'dad-attempts 0')
      .sort();
  }

  it.each([
    ['iface eth0 inet ppp\n    provider x\n', /method ppp/],
    ['iface eth0 inet dhcp inherits lan\n', /inherits/],
    ['auto /eth*\niface eth0 inet dhcp\n', /by a pattern/],
    ['mapping eth0\n    script /x\n', /chooses the stanza/],
    ['iface eth0 inet dhcp\n    wpa-ssid x\n', /wpa-ssid/],
    ['iface eth0 inet dhcp\n    up /usr/local/bin/notify eth0 up\n', /cannot be known/],
  ])('refuses %j', (text, reason) => {
    expect(() => take(text)).toThrow(reason);
  });
});

describe('DHCP clients by their command lines', () => {
  it.each<[string, string | null]>([
    ['dhcpcd: eth0 [ip4]\0\0\0', 'dhcpcd'],
    ['dhcpcd: [manager] [ip4] [ip6]\0', 'dhcpcd'],
    ['dhcpcd: [master] [ip4]\0', 'dhcpcd'],
    ['/usr/sbin/dhcpcd\0-q\0-f\0/etc/dhcpcd.conf\0', 'dhcpcd'],
    ['/usr/sbin/dhcpcd\0-b\0eth0\0', 'dhcpcd'],
    ['dhcpcd: [BPF ARP] eth0 192.0.2.7\0', 'dhcpcd'],
    ['dhcpcd: eth1 [ip4]\0', null],
    ['dhcpcd: [privileged proxy]\0', null],
    ['/sbin/dhclient\0-4\0-lf\0/var/lib/dhcp/x.leases\0eth0\0', 'dhclient'],
    ['dhclient\0', 'dhclient'],
    ['dhclient\0eth1\0', null],
    ['udhcpc\0-i\0eth0\0', 'udhcpc'],
    ['busybox\0udhcpc\0-ieth0\0', 'udhcpc'],
    ['vi\0dhcpcd: eth0\0', null],
  ])('%j', (cmdline, program) => {
    expect(clientOf(cmdline, 'eth0')?.program ?? null).toBe(program);
  });
});

describe('dhcpcd', () => {
  const move = { from: 'eth0', to: 'br-ex', metric: 1002, hasLease: true, systemd: false };

  it('goes to the bridge with its lease and metric, and comes back as ifup starts it', () => {
    const plan = planDhcpcd({ ...move, command: '/sbin/dhcpcd -h box eth0' });
    expect(plan.dhcp.after).toEqual([['sh', '-c', 'exec /sbin/dhcpcd -h box -b -m 1002 br-ex']]);
    expect(plan.handBack).toEqual([['sh', '-c', 'exec /sbin/dhcpcd -h box -b eth0']]);
    expect(plan.dhcp.before.at(-1)!.slice(-2)).toEqual(['/var/lib/dhcpcd/eth0', '/var/lib/dhcpcd/br-ex']);
    expect(plan.handBackFirst[0]!.at(-1)).toBe('br-ex');
    expect(plan.warnings).toEqual([]);
  });

  it('keeps a metric that it was told, and says when there is no lease to take along', () => {
    const plan = planDhcpcd({ ...move, command: 'dhcpcd -m 7 eth0', hasLease: false });
    expect(plan.dhcp.after[0]!.at(-1)).toBe('exec dhcpcd -m 7 -b br-ex');
    expect(plan.warnings.join()).toMatch(/another address/);
  });
});

describe('dhclient', () => {
  const argv = (
    '/sbin/dhclient -4 -v -i -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases -I ' +
    '-df /var/lib/dhcp/dhclient6.eth0.leases eth0'
  ).split(' ');

  it('takes its lease along and comes back as it was', async () => {
    const leases = await readFile(golden('dhclient.eth0.leases'), 'utf8');
    const plan = handOverDhclient({ pid: 4711, argv }, leases, 'eth0', 'br-ex');
    await expect(
      `${JSON.stringify({ ...plan, trialFiles: [], permanent: [] }, null, 2)}\n---\n${plan.trialFiles[0]!.content}`,
    ).toMatchFileSnapshot(golden('dhclient.txt'));
    expect(plan.permanent).toEqual([
      { path: '/var/lib/dhcp/dhclient.br-ex.leases', content: plan.trialFiles[0]!.content, mode: 0o644 },
    ]);
  });

  it('gets a unit of its own where systemd runs, else it would end with the service that started it', async () => {
    const plan = handOverDhclient({ pid: 4711, argv }, null, 'eth0', 'br-ex', true);
    const alone = handOverDhclient({ pid: 4711, argv }, null, 'eth0', 'br-ex');
    const both = (of: typeof plan) => [...of.dhcp.after, ...of.handBack];
    for (const [index, words] of both(plan).entries()) {
      expect(words.slice(0, 2)).toEqual(['sh', '-c']);
      expect(words[2]).toContain('systemd-run');
      expect(words.slice(4)).toEqual(both(alone)[index]);
    }
    // systemd-run that fails must not leave the host without a client
    const [, , script] = plan.handBack[0]!;
    const bin = join(directory, 'no-systemd');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'systemd-run'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env.PATH}` };
    expect((await execa('sh', ['-c', script!, 'sh', 'echo', 'dhclient', 'eth0'], { env })).stdout).toBe(
      'dhclient eth0',
    );
  });

  it('says when there is no lease to take along', () => {
    expect(handOverDhclient({ pid: 1, argv }, null, 'eth0', 'br-ex').warnings.join()).toMatch(
      /another address/,
    );
  });
});

describe('NetworkManager', () => {
  const implicit = { metric4: 100, metric6: 101, clientId: '01:52:54:00:00:00:10', duid: null, iaid: null };
  const take = (text: string) =>
    nmFiles({
      ...DEVICE,
      path: 'lan.nmconnection',
      sections: parseIni(text, false)!,
      implicit,
      autoconnect: true,
    });

  it.each(['full', 'dhcp', 'bond'])('%s: nmcli reads what we wrote, all of it', async (name) => {
    const files = take(await readFile(golden(`${name}.nmconnection`), 'utf8'));
    await expect(
      `${files.bridgeKeyfile}\n---\n${files.portKeyfile}\n---\n${files.warnings.join('\n')}\n`,
    ).toMatchFileSnapshot(golden(`${name}.nm-taken.txt`));
    for (const keyfile of [files.bridgeKeyfile, files.portKeyfile]) expect(await unread(keyfile)).toEqual([]);
    const back = nmReleased(
      'eth0',
      parseIni(files.bridgeKeyfile, false)!,
      parseIni(files.portKeyfile, false)!,
    );
    expect(await unread(back)).toEqual([]);
    await expect(back).toMatchFileSnapshot(golden(`${name}.nm-released.txt`));
  });

  /** Settings that NetworkManager has not taken over: it drops a line that it does not understand with a warning. */
  async function unread(keyfile: string): Promise<string[]> {
    const { stdout } = await execa(
      'nmcli',
      ['--offline', 'connection', 'modify', 'connection.metered', 'unknown'],
      { input: keyfile },
    );
    const read = settings(stdout);
    return [...settings(keyfile)].filter((line) => !read.has(line));
  }

  function settings(keyfile: string): Set<string> {
    return new Set(
      parseIni(keyfile, false)!.flatMap(({ name, entries }) =>
        entries
          .filter(({ key }) => key !== 'metered')
          .map(
            ({ key, value }) =>
              `[${name}] ${key.replace('slave-type', 'port-type').replace('master', 'controller')}=${value.toLowerCase().replace(/;$/, '')}`,
          ),
      ),
    );
  }

  it('the original stays, but not by itself', () => {
    const text = '[connection]\nid=lan\nautoconnect=true\n\n[ipv4]\nmethod=auto\n';
    expect(nmDisabled(text)).toBe('[connection]\nautoconnect=false\nid=lan\n\n[ipv4]\nmethod=auto\n');
  });

  it.each([
    ['[connection]\ntype=wifi\n', /type wifi/],
    ['[connection]\ntype=ethernet\n[novelty]\nx=1\n', /\[novelty\]/],
    ['[connection]\ntype=ethernet\nnovelty=1\n', /connection.novelty/],
  ])('refuses %j', (text, reason) => {
    expect(() => take(text)).toThrow(reason);
  });

  it('reads its DHCP identity', () => {
    const shown =
      'DHCP4.OPTION[1]:dhcp_client_identifier = 01:52:54:00:00:00:10\nDHCP6.OPTION[1]:dhcp6_client_id = 00:04:aa\nDHCP6.OPTION[2]:iaid = 12\n';
    expect(parseDhcpIdentity(shown)).toEqual({
      clientId: '01:52:54:00:00:00:10',
      duid: '00:04:aa',
      iaid: '12',
    });
  });
});

describe('DNS of a link', () => {
  it('is said again for the bridge, and back', () => {
    expect(valuesOf('Link 2 (eth0): 192.0.2.53 2001:db8::53\n')).toEqual(['192.0.2.53', '2001:db8::53']);
    expect(valuesOf('Link 2 (eth0):\n')).toEqual([]);
    const { handOver, handBack } = linkDnsCommands(
      ['192.0.2.53'],
      ['~.', 'example.test'],
      'yes',
      'eth0',
      'br-ex',
    );
    expect(handOver).toEqual([
      ['resolvectl', 'dns', 'br-ex', '192.0.2.53'],
      ['resolvectl', 'domain', 'br-ex', '~.', 'example.test'],
      ['resolvectl', 'default-route', 'br-ex', 'yes'],
      ['resolvectl', 'revert', 'eth0'],
    ]);
    expect(handBack[0]).toEqual(['resolvectl', 'dns', 'eth0', '192.0.2.53']);
  });
});

describe('who runs the uplink', () => {
  const nobody: Evidence = {
    networkd: null,
    networkManager: null,
    ifupdown: [],
    ifupdownRuns: false,
    netplan: [],
    clients: [],
  };
  const netplan = [{ path: '/etc/netplan/50.yaml', renderer: null }];
  const dhclient = { program: 'dhclient', pid: 7, owner: null } as const;
  const interfaces = { ifupdown: ['/etc/network/interfaces'], ifupdownRuns: true };

  it.each<[string, Partial<Evidence>]>([
    ['none', {}],
    ['networkd', { networkd: '/etc/systemd/network/10.network' }],
    ['netplan', { networkd: '/run/systemd/network/10-netplan-eth0.network', netplan }],
    ['NetworkManager', { networkManager: '/etc/NetworkManager/system-connections/lan.nmconnection' }],
    [
      'NetworkManager',
      { networkManager: '/etc/x.nmconnection', clients: [{ ...dhclient, owner: 'NetworkManager' }] },
    ],
    ['ifupdown', { ...interfaces, clients: [dhclient] }],
  ])('%s', (name, evidence) => {
    expect(managerOf({ ...nobody, ...evidence }, 'eth0')).toBe(name);
  });

  it.each<[RegExp, Partial<Evidence>]>([
    [/more than one program/, { networkd: '/etc/x.network', networkManager: '/etc/y.nmconnection' }],
    [
      /more than one program/,
      { networkd: '/run/systemd/network/10-netplan-eth0.network', netplan, ...interfaces },
    ],
    [/although networkd/, { networkd: '/etc/x.network', clients: [dhclient] }],
    [/nothing that Maru knows has started it/, { clients: [dhclient] }],
    [/what runs now does not come from there/, { netplan }],
    [/what runs now does not come from there/, { ifupdown: ['/etc/network/interfaces'] }],
    [/netplan\) names eth0/, { networkd: '/etc/systemd/network/10.network', netplan }],
  ])('refuses: %s', (reason, evidence) => {
    const refused = () => managerOf({ ...nobody, ...evidence }, 'eth0');
    expect(refused).toThrow(BridgeRefusal);
    expect(refused).toThrow(reason);
  });
});
