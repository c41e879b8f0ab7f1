import type { Host } from '../host/host.js';

/** What is to be known of an uplink besides what `ip` says. */
export interface UplinkFacts {
  /** The kernel's driver: e1000e, virtio_net, hv_netvsc …; null for devices without hardware. */
  readonly driver: string | null;
  readonly wireless: boolean;
  /** The machine's maker, of the firmware's tables: names the hypervisor or cloud of a virtual machine. */
  readonly vendor: string;
  /** Routes with a locked metric, which iproute2 leaves out of its JSON. */
  readonly lockedRoutes: readonly string[];
}

/** Reads what refusals and warnings depend on. Changes nothing. */
export async function readFacts(host: Host, uplink: string): Promise<UplinkFacts> {
  const directory = `/sys/class/net/${uplink}`;
  const event = await host.readFileIfExists(`${directory}/device/uevent`).catch(() => null);
  const routes = (await host.read('ip', ['-d', 'route', 'show', 'table', 'all'])).stdout;
  return {
    driver: /^DRIVER=(.+)$/m.exec(event ?? '')?.[1] ?? null,
    wireless:
      (await host.stat(`${directory}/wireless`)) !== null ||
      (await host.stat(`${directory}/phy80211`)) !== null,
    vendor: ((await host.readFileIfExists('/sys/class/dmi/id/sys_vendor').catch(() => null)) ?? '').trim(),
    lockedRoutes: routes
      .split('\n')
      .filter((line) => line.split(' ').includes('lock') && line.includes(` dev ${uplink} `)),
  };
}
