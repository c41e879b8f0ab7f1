import { countPorts } from '../../store/network/port.js';
import { countRows, type ResourceTable } from '../../store/network/rows.js';
import type { Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { checkQuota } from '../quota/quota.js';
import { quotaExceeded } from './problems.js';

/** Default limits of the network service, per project; −1 is unlimited. */
export const NETWORK_QUOTAS = {
  network: 100,
  subnet: 100,
  port: 500,
  router: 10,
  floatingip: 50,
  security_group: 10,
  security_group_rule: 100,
} as const;

export type NetworkQuota = keyof typeof NETWORK_QUOTAS;

const TABLES: Readonly<Record<Exclude<NetworkQuota, 'port'>, ResourceTable>> = {
  network: 'network',
  subnet: 'subnet',
  router: 'router',
  floatingip: 'floating_ip',
  security_group: 'security_group',
  security_group_rule: 'security_group_rule',
};

/** Refuses with OverQuota when a project would have more than it may; holds the project's lock until the end of tx. */
export async function claimNetworkQuota(
  app: App,
  tx: Tx,
  projectId: string,
  resource: NetworkQuota,
  adding = 1,
): Promise<void> {
  await checkQuota(tx, app.store, {
    projectId,
    service: 'network',
    resource,
    adding,
    fallback: NETWORK_QUOTAS[resource],
    used: () => networkUsage(tx, projectId, resource),
    refuse: quotaExceeded,
  });
}

/** How many a project has of a resource. */
export async function networkUsage(
  db: Parameters<typeof countPorts>[0],
  projectId: string,
  resource: NetworkQuota,
): Promise<number> {
  return resource === 'port'
    ? await countPorts(db, projectId)
    : await countRows(db, TABLES[resource], projectId);
}
