import { describe, expect, it } from 'vitest';
import { BridgeRefusal, type OriginalFile } from '../../../agents/bridge/manager.js';
import { type DhcpClient, handOverClients } from '../../../agents/bridge/managers/dhcp-client.js';
import { IfupdownManager, INTERFACES } from '../../../agents/bridge/managers/ifupdown.js';
import { ifupdownFile } from '../../../agents/bridge/managers/ifupdown-files.js';
import type { Snapshot } from '../../../agents/bridge/model.js';
import type { Host } from '../../../agents/host/host.js';

const DEVICE = { bridge: 'br-ex', uplink: 'eth0', mac: '52:54:00:00:00:10' };
const SNAPSHOT = { device: 'br-ex', links: [{ name: 'br-ex', mac: DEVICE.mac }], routes: [], addresses: [] };
const ROUTER_ADVERTISEMENTS = '    pre-up sysctl -q -e -w net/ipv6/conf/$IFACE/accept_ra=0\n';

/** A host with these files and no DHCP client; `ifup` is what `ifup --no-act` says. */
function hostWith(files: Readonly<Record<string, string>>, ifup = ''): Host {
  return {
    readFileIfExists: (path: string) => Promise.resolve(files[path] ?? null),
    listDirectory: () => Promise.resolve([]),
    stat: (path: string) => Promise.resolve(path in files ? { mode: 0o644 } : null),
    read: (command: string) =>
      Promise.resolve({ stdout: '', stderr: command === 'ifup' ? ifup : '', exitCode: 0 }),
  } as unknown as Host;
}

describe('a release under ifupdown', () => {
  const original = 'auto eth0\niface eth0 inet dhcp\n\niface eth1 inet manual\n';
  const taken = (metric: number | null, text = original) =>
    ifupdownFile({ ...DEVICE, metric, path: INTERFACES, text, first: true }).text;
  const release = async (now: string, before = original) => {
    const originals: OriginalFile[] = [{ path: INTERFACES, content: before, mode: 0o644 }];
    const manager = new IfupdownManager(hostWith({ [INTERFACES]: now }));
    const plan = { ...DEVICE, snapshot: SNAPSHOT as unknown as Snapshot, originals };
    const { permanent, warnings } = await manager.planRelease(plan);
    return { content: permanent.find(({ path }) => path === INTERFACES)?.content, warnings };
  };

  it.each([
    ['as it is written now', taken(null)],
    ['with the metric of a dhcpcd that is down', taken(1002)],
    [
      'as it was written before ports refused router advertisements',
      taken(null).replace(ROUTER_ADVERTISEMENTS, ''),
    ],
    ['both', taken(1002).replace(ROUTER_ADVERTISEMENTS, '')],
  ])('restores the original: %s', async (_what, now) => {
    expect(await release(now)).toEqual({ content: original, warnings: [] });
  });

  it('keeps what was changed since, without the metric that the takeover has said', async () => {
    const { content, warnings } = await release(`${taken(1002)}\niface eth2 inet manual\n`);
    expect(warnings.join()).toContain('was changed since the takeover');
    expect(content).toContain('iface eth2 inet manual');
    expect(content).toContain('iface eth0 inet dhcp');
    expect(content).not.toMatch(/metric|accept_ra|addrgenmode|br-ex/);
  });

  it("keeps the operator's own metric", async () => {
    const own = original.replace('inet dhcp\n', 'inet dhcp\n    metric 1700\n');
    expect(await release(taken(1002, own), own)).toEqual({ content: own, warnings: [] });
    expect((await release(`${taken(1002, own)}\n# mine\n`, own)).content).toContain('    metric 1700\n');
    const since = taken(1002).replace('metric 1002', 'metric 50');
    expect((await release(`${since}\n# mine\n`)).content).toContain('    metric 50\n');
  });
});

describe('dhcpcd for one family', () => {
  const client = (pid: number, title: string): DhcpClient => ({
    ...{ program: 'dhcpcd', pid, argv: [title], owner: null },
  });
  const ip4 = client(7, 'dhcpcd: eth0 [ip4]');
  const ip6 = client(8, 'dhcpcd: eth0 [ip6]');
  const handOver = (clients: readonly DhcpClient[], ifup: string) =>
    handOverClients(hostWith({}, ifup), clients, 'eth0', 'br-ex', SNAPSHOT as unknown as Snapshot);
  const lines = '/sbin/dhcpcd -4 eth0\n/sbin/dhcpcd -6 -h box eth0\n';

  it('is refused when there is one for the other, too', async () => {
    const refused = handOver([ip4, ip6], lines);
    await expect(refused).rejects.toThrow(BridgeRefusal);
    await expect(refused).rejects.toThrow(
      'dhcpcd: eth0 [ip4] (pid 7) and dhcpcd: eth0 [ip6] (pid 8) have eth0',
    );
  });

  it('is ended and started as what it is', async () => {
    const plan = await handOver([ip6], lines);
    expect(plan?.dhcp.after).toEqual([['sh', '-c', 'exec /sbin/dhcpcd -6 -h box -b br-ex']]);
    // where it has written its process id
    expect(plan?.dhcp.before[0]?.join()).toContain('/run/dhcpcd/$1-6.pid');
    await expect(handOver([ip6], '/sbin/dhcpcd -4 eth0\n')).rejects.toThrow('ifup would not start it so');
    await expect(handOver([client(9, 'dhcpcd: eth0 [ip4] [ip6]')], lines)).rejects.toThrow(BridgeRefusal);
  });

  it('that shows itself twice, while it starts a program, is one', async () => {
    const plan = await handOver([ip4, client(9, 'dhcpcd: eth0 [ip4]')], lines);
    expect(plan?.dhcp.after).toEqual([['sh', '-c', 'exec /sbin/dhcpcd -4 -b br-ex']]);
  });
});
