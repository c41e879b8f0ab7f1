import {
  hostsOfGroup,
  hostsOfNetworks,
  networkOf,
  networksOnHost,
  routerOfFloatingIp,
  routerPlace,
} from '../store/network/placed.js';
import type { Reader } from '../store/store.js';
import type { HostChange } from './kind.js';

/**
 * Hosts whose network objects may depend on a changed row: too many at times, never too few. Rows that are gone are found
 * by what the writers record along with them: the network, the groups, the router.
 */
export async function hostsOfNetworkChange(db: Reader, change: HostChange): Promise<readonly string[]> {
  const { kind, id } = change;
  switch (kind) {
    case 'network':
      return await hostsOfNetworks(db, [id]);
    case 'subnet':
    case 'port': {
      const networkId = await networkOf(db, kind, id);
      return networkId ? await hostsOfNetworks(db, [networkId]) : [];
    }
    case 'router':
      return await hostsOfRouter(db, id);
    case 'floating-ip': {
      const routerId = await routerOfFloatingIp(db, id);
      return routerId ? await hostsOfRouter(db, routerId) : [];
    }
    case 'security-group':
      return await hostsOfGroup(db, id);
    case 'host':
      // a new tunnel endpoint concerns everyone who shares a network with it
      return [id, ...(await hostsOfNetworks(db, await networksOnHost(db, id)))];
    case 'server':
    case 'volume':
    case 'image':
      return [];
  }
}

async function hostsOfRouter(db: Reader, id: string): Promise<string[]> {
  const { hostId, networkIds } = await routerPlace(db, id);
  const hosts = await hostsOfNetworks(db, networkIds);
  return hostId ? [hostId, ...hosts] : hosts;
}
