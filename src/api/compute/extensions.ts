import { notFound } from '../../core/errors.js';
import type { Operation } from '../shared/operation.js';
import { ANYBODY, policy } from './policy.js';

/** Alias, name and purpose of the extensions of Nova's old API whose operations exist here. */
const EXTENSIONS: readonly (readonly [alias: string, name: string, description: string])[] = [
  ['OS-DCF', 'DiskConfig', 'Disk Management Extension.'],
  ['OS-EXT-AZ', 'ExtendedAvailabilityZone', 'Extended Availability Zone support.'],
  ['OS-EXT-IPS', 'ExtendedIps', 'Adds type parameter to the ip list.'],
  ['OS-EXT-IPS-MAC', 'ExtendedIpsMac', 'Adds mac address parameter to the ip list.'],
  ['OS-EXT-SRV-ATTR', 'ExtendedServerAttributes', 'Extended Server Attributes support.'],
  ['OS-EXT-STS', 'ExtendedStatus', 'Extended Status support.'],
  ['OS-FLV-DISABLED', 'FlavorDisabled', 'Support to show the disabled status of a flavor.'],
  ['OS-FLV-EXT-DATA', 'FlavorExtraData', 'Provide additional data for flavors.'],
  ['OS-SCH-HNT', 'SchedulerHints', 'Pass arbitrary key/value pairs to the scheduler.'],
  ['OS-SRV-USG', 'ServerUsage', 'Adds launched_at and terminated_at on Servers.'],
  ['os-access-ips', 'AccessIPs', 'Access IPs support.'],
  ['os-admin-actions', 'AdminActions', 'Enable admin-only server actions.'],
  ['os-aggregates', 'Aggregates', 'Admin-only aggregate administration.'],
  ['os-availability-zone', 'AvailabilityZone', 'Availability zones of servers and hosts.'],
  ['os-config-drive', 'ConfigDrive', 'Config Drive Extension.'],
  ['os-console-output', 'ConsoleOutput', 'Console log output support, with tailing ability.'],
  ['os-extended-hypervisors', 'ExtendedHypervisors', 'Extended hypervisors support.'],
  ['os-extended-quotas', 'ExtendedQuotas', 'Adds ability for admins to delete quota.'],
  ['os-extended-services', 'ExtendedServices', 'Extended services support.'],
  ['os-extended-status', 'ExtendedStatus', 'Extended Status support.'],
  ['os-flavor-access', 'FlavorAccess', 'Flavor access support.'],
  ['os-flavor-extra-specs', 'FlavorExtraSpecs', 'Flavors extra specs support.'],
  ['os-flavor-manage', 'FlavorManage', 'Flavor create/delete API support.'],
  ['os-flavor-rxtx', 'FlavorRxtx', 'Support to show the rxtx status of a flavor.'],
  ['os-flavor-swap', 'FlavorSwap', 'Support to show the swap status of a flavor.'],
  ['os-floating-ip-pools', 'FloatingIpPools', 'Floating IPs support.'],
  ['os-floating-ips', 'FloatingIps', 'Floating IPs support.'],
  ['os-hypervisor-status', 'HypervisorStatus', 'Show hypervisor status.'],
  ['os-hypervisors', 'Hypervisors', 'Admin-only hypervisor administration.'],
  ['os-instance-actions', 'InstanceActions', 'View a log of actions and events taken on an instance.'],
  ['os-keypairs', 'Keypairs', 'Keypair Support.'],
  ['os-lock-server', 'LockServer', 'Enable lock/unlock server actions.'],
  ['os-multiple-create', 'MultipleCreate', 'Allow multiple create in the Create Server v2.1 API.'],
  ['os-quota-class-sets', 'QuotaClasses', 'Quota classes management support.'],
  ['os-quota-sets', 'Quotas', 'Quotas management support.'],
  ['os-security-groups', 'SecurityGroups', 'Security group support.'],
  ['os-networks', 'Networks', 'Admin-only Network Management Extension.'],
  ['os-server-group-quotas', 'ServerGroupQuotas', 'Adds quota support to server groups.'],
  ['os-server-groups', 'ServerGroups', 'Server group support.'],
  [
    'os-server-list-multi-status',
    'ServerListMultiStatus',
    'Allow to filter the servers by a set of status values.',
  ],
  ['os-server-password', 'ServerPassword', 'Server password support.'],
  ['os-server-sort-keys', 'ServerSortKeys', 'Add sorting support in get Server v2 API.'],
  ['os-server-start-stop', 'ServerStartStop', 'Start/Stop instance compute API support.'],
  ['os-services', 'Services', 'Services support.'],
  ['os-simple-tenant-usage', 'SimpleTenantUsage', 'Simple tenant usage extension.'],
  ['os-tenant-networks', 'OSTenantNetworks', 'Tenant-based Network Management Extension.'],
  ['os-used-limits', 'UsedLimits', 'Provide data on limited resources that are being used.'],
  [
    'os-used-limits-for-admin',
    'UsedLimitsForAdmin',
    'Data for admins on limited resources used by other tenants.',
  ],
  ['os-user-data', 'UserData', 'Add user_data to the Create Server API.'],
];

export const extensionOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/extensions',
    policy: policy('extensions', ANYBODY),
    summary: 'List extensions',
    status: 200,
    handler: () => ({ extensions: EXTENSIONS.map(show) }),
  },
  {
    method: 'GET',
    path: '/v2.1/extensions/:alias',
    policy: policy('extensions:show', ANYBODY),
    summary: 'Show an extension',
    status: 200,
    handler: ({ params }) => {
      const found = EXTENSIONS.find(([alias]) => alias === params.alias);
      if (!found) throw notFound('The resource could not be found.');
      return { extension: show(found) };
    },
  },
];

function show([alias, name, description]: (typeof EXTENSIONS)[number]) {
  return {
    alias,
    name,
    description,
    links: [],
    namespace: 'http://docs.openstack.org/compute/ext/fake_xml',
    updated: '2014-12-03T00:00:00Z',
  };
}
