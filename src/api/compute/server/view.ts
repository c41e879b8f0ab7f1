import { createHash } from 'node:crypto';
import type { PortOfServer } from '../../../core/port/of-servers.js';
import type { ServerFault, ServerFlavor } from '../../../core/server/facts.js';
import { powerStateNumber } from '../../../core/server/status.js';
import { instanceName } from '../../../desired/server.js';
import type { ServerRow } from '../../../store/compute/server.js';
import { atLeast } from '../../shared/microversion.js';
import type { Microversion } from '../../shared/operation.js';
import { inSeconds, inWholeMicroseconds } from '../../shared/times.js';

/** A server with all that is shown of it. */
export interface ShownServer {
  readonly row: ServerRow;
  readonly ports: readonly PortOfServer[];
  readonly tags: readonly string[];
  readonly hostName: string | null;
  /** Zone that its host is in; null while it has none. */
  readonly hostZone: string | null;
  readonly hostStatus: string;
  /** Group it belongs to; shown alone, not in lists. */
  readonly groups?: readonly string[];
}

/** Who looks, as far as it makes a difference. */
export interface Viewer {
  readonly baseUrl: string;
  readonly version: Microversion;
  /** Host, instance name and the like. */
  readonly attributes: boolean;
  readonly hostStatus: boolean;
}

/** Microversions at which the view of a server in a list changes. */
export const VIEW_VERSIONS = [
  ...['2.1', '2.3', '2.9', '2.16', '2.19', '2.26', '2.47', '2.63', '2.73', '2.90', '2.96'],
] as const;

const WITH_PROGRESS = new Set(['ACTIVE', 'BUILD', 'DELETED']);

/** A server in full. */
export function showServer(viewer: Viewer, server: ShownServer): Record<string, unknown> {
  const { version, attributes } = viewer;
  const { row, ports } = server;
  const since = (text: string) => atLeast(version, text);
  return {
    ...basics(viewer, server, true),
    'OS-EXT-AZ:availability_zone': server.hostZone ?? row.availability_zone ?? '',
    config_drive: row.config_drive ? 'True' : '',
    key_name: row.key_name,
    'OS-SRV-USG:launched_at': microseconds(row.launched_at),
    'OS-SRV-USG:terminated_at': microseconds(row.deleted_at),
    ...(row.deleted_at === null ? securityGroups(ports) : {}),
    ...(attributes ? adminAttributes(server, since('2.3'), since('2.90')) : {}),
    ...(since('2.90') ? { 'OS-EXT-SRV-ATTR:hostname': row.hostname } : {}),
    'OS-EXT-STS:task_state': row.task_state,
    'OS-EXT-STS:vm_state': row.vm_state,
    'OS-EXT-STS:power_state': powerStateNumber(row.observed_power),
    'os-extended-volumes:volumes_attached': [],
    ...(since('2.16') && viewer.hostStatus ? { host_status: server.hostStatus } : {}),
    ...versioned(viewer, server),
    ...(since('2.96') ? { pinned_availability_zone: row.availability_zone } : {}),
  };
}

/** What an update and a rebuild answer before 2.75: less than a show. */
export function showUpdatedServer(viewer: Viewer, server: ShownServer): Record<string, unknown> {
  return { ...basics(viewer, server, false), ...versioned(viewer, server) };
}

function basics(viewer: Viewer, server: ShownServer, extended: boolean): Record<string, unknown> {
  const { row } = server;
  const fault = row.fault === null ? null : (JSON.parse(row.fault) as ServerFault);
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    tenant_id: row.project_id,
    user_id: row.user_id,
    metadata: JSON.parse(row.metadata),
    hostId: server.hostName === null ? '' : hostIdOf(row.project_id, server.hostName),
    image: row.image_id === null ? '' : imageLink(viewer, row.image_id),
    flavor: flavorOf(viewer, row),
    created: inSeconds(row.created_at),
    updated: inSeconds(row.updated_at),
    addresses: addressesOf(server.ports, extended),
    accessIPv4: row.access_ip_v4 ?? '',
    accessIPv6: row.access_ip_v6 ?? '',
    links: serverLinks(viewer.baseUrl, row.id),
    'OS-DCF:diskConfig': row.disk_config,
    ...(WITH_PROGRESS.has(row.status) ? { progress: 0 } : {}),
    ...(fault && (row.status === 'ERROR' || row.status === 'DELETED')
      ? { fault: faultOf(viewer, fault) }
      : {}),
  };
}

function versioned({ version }: Viewer, server: ShownServer): Record<string, unknown> {
  const { row } = server;
  const since = (text: string) => atLeast(version, text);
  return {
    ...(since('2.9') ? { locked: row.locked === 1 } : {}),
    ...(since('2.73') ? { locked_reason: row.locked_reason } : {}),
    ...(since('2.19') ? { description: row.description } : {}),
    ...(since('2.26') ? { tags: server.tags } : {}),
    ...(since('2.63') ? { trusted_image_certificates: null } : {}),
    ...(since('2.71') && server.groups ? { server_groups: server.groups } : {}),
  };
}

function adminAttributes(server: ShownServer, more: boolean, hostnameIsPublic: boolean) {
  const { row, hostName } = server;
  return {
    'OS-EXT-SRV-ATTR:host': hostName,
    'OS-EXT-SRV-ATTR:instance_name': instanceName(row.internal_id),
    'OS-EXT-SRV-ATTR:hypervisor_hostname': hostName,
    ...(more
      ? {
          'OS-EXT-SRV-ATTR:reservation_id': row.reservation_id,
          'OS-EXT-SRV-ATTR:launch_index': row.launch_index,
          ...(hostnameIsPublic ? {} : { 'OS-EXT-SRV-ATTR:hostname': row.hostname }),
          'OS-EXT-SRV-ATTR:kernel_id': '',
          'OS-EXT-SRV-ATTR:ramdisk_id': '',
          'OS-EXT-SRV-ATTR:root_device_name': rootDevice(row),
          'OS-EXT-SRV-ATTR:user_data': row.user_data,
        }
      : {}),
  };
}

function rootDevice(row: ServerRow): string {
  const bus = (JSON.parse(row.hardware) as Record<string, string>).hw_disk_bus;
  return bus === 'scsi' || bus === 'sata' ? '/dev/sda' : bus === 'ide' ? '/dev/hda' : '/dev/vda';
}

function securityGroups(ports: readonly PortOfServer[]): Record<string, unknown> {
  const names = new Map(ports.flatMap((port) => port.security_groups.map(({ id, name }) => [id, name])));
  // as with Nova, a server whose ports have no groups has no such key
  return names.size ? { security_groups: [...names.values()].map((name) => ({ name })) } : {};
}

/** Addresses by network name, fixed ones each followed by the floating IP that leads to it. */
export function addressesOf(
  ports: readonly PortOfServer[],
  extended: boolean,
): Record<string, Record<string, unknown>[]> {
  const networks: Record<string, Record<string, unknown>[]> = {};
  for (const port of ports) {
    for (const address of port.addresses) {
      networks[port.network_name] ??= [];
      const list = networks[port.network_name]!;
      const more = (type: string) =>
        extended ? { 'OS-EXT-IPS:type': type, 'OS-EXT-IPS-MAC:mac_addr': port.mac_address } : {};
      list.push({ version: address.version, addr: address.ip_address, ...more('fixed') });
      if (address.floating_ip) list.push({ version: 4, addr: address.floating_ip, ...more('floating') });
    }
  }
  return networks;
}

function flavorOf({ baseUrl, version }: Viewer, row: ServerRow): Record<string, unknown> {
  if (!atLeast(version, '2.47')) {
    return {
      id: row.flavor_id,
      links: [{ rel: 'bookmark', href: `${baseUrl}/flavors/${row.flavor_id}` }],
    };
  }
  const flavor = JSON.parse(row.flavor) as ServerFlavor;
  return {
    vcpus: flavor.vcpus,
    ram: flavor.ram,
    disk: flavor.disk,
    ephemeral: flavor.ephemeral,
    swap: flavor.swap,
    original_name: flavor.name,
    extra_specs: flavor.extra_specs,
  };
}

function imageLink({ baseUrl }: Viewer, id: string) {
  return { id, links: [{ rel: 'bookmark', href: `${baseUrl}/images/${id}` }] };
}

export function serverLinks(baseUrl: string, id: string) {
  return [
    { rel: 'self', href: `${baseUrl}/v2.1/servers/${id}` },
    { rel: 'bookmark', href: `${baseUrl}/servers/${id}` },
  ];
}

/** Details of internal errors name hosts and commands: for operators only. */
function faultOf(viewer: Viewer, fault: ServerFault): Record<string, unknown> {
  const { code, message, created, details } = fault;
  return { code, created: inSeconds(created), message, ...(viewer.attributes ? { details } : {}) };
}

/** The same for all servers of a project on one host, and telling nothing else about the host. */
export function hostIdOf(projectId: string, hostName: string): string {
  return createHash('sha224')
    .update(projectId + hostName)
    .digest('hex');
}

export function microseconds(time: string | null): string | null {
  return time === null ? null : inWholeMicroseconds(time);
}
