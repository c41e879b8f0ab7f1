import type { PortOfServer } from '../core/port/of-servers.js';
import { portsOfServers } from '../core/port/of-servers.js';
import type { ServerFlavor, ServerImage, ServerKey } from '../core/server/facts.js';
import type { DiskBody, GuestMetadata, ServerObject } from '../protocol/objects.js';
import {
  hostOfServer,
  hostsOfServerGroup,
  hostsOfServerPort,
  hostsOfServerSubnet,
} from '../store/compute/placed.js';
import { type ServerRow, serversOfHosts } from '../store/compute/server.js';
import type { Reader } from '../store/store.js';
import { dependencies } from './finders.js';
import { byHost } from './groups.js';
import { batched, type HostKind } from './kind.js';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** Guests of hosts: two further queries whatever their number. An address that a floating IP leads to changes its port. */
export const serverKind: HostKind<'server'> = batched({
  kind: 'server',
  ...dependencies({
    server: hostOfServer,
    port: (db, id) => hostsOfServerPort(db, 'port.id', id),
    network: (db, id) => hostsOfServerPort(db, 'port.network_id', id),
    subnet: hostsOfServerSubnet,
    'security-group': hostsOfServerGroup,
  }),
  async objectsOfHosts(db, hostIds) {
    const servers = await serversOfHosts(db, hostIds);
    const objects = await serverObjects(db, servers);
    const placed = servers.map(({ id, host_id }) => ({ id, host_id: host_id! }));
    return byHost(placed, (own) => own.map(({ id }) => [id, objects.get(id)!] as const));
  },
});

/** The objects of the given servers, by id. */
export async function serverObjects(
  db: Reader,
  servers: readonly ServerRow[],
): Promise<Map<string, ServerObject>> {
  const ports = await portsOfServers(
    db,
    servers.map((server) => server.id),
  );
  return new Map(servers.map((server) => [server.id, serverObject(server, ports.get(server.id) ?? [])]));
}

/** A guest as its host should have it: a pure function of its row and ports. */
export function serverObject(server: ServerRow, ports: readonly PortOfServer[]): ServerObject {
  const hardware = JSON.parse(server.hardware) as Record<string, string>;
  const model = hardware.hw_vif_model === 'e1000' ? 'e1000' : 'virtio';
  return {
    id: server.id,
    instance_name: instanceName(server.internal_id),
    name: server.name,
    project_id: server.project_id,
    user_id: server.user_id,
    run_epoch: server.run_epoch,
    vcpus: server.vcpus,
    memory_mb: server.memory_mb,
    power: server.power === 'stopped' ? 'stopped' : 'running',
    reboot: { soft: server.soft_reboots, hard: server.hard_reboots },
    disks: disksOf(server, hardware.hw_disk_bus),
    nics: ports.map(({ port_id, mac_address, mtu }) => ({ port_id, mac: mac_address, mtu, model })),
    config_drive: server.config_drive === 1,
    metadata: guestMetadata(server, ports),
    hardware,
  };
}

/** The name of a guest's domain, as operators know it from OpenStack. */
export function instanceName(internalId: number): string {
  return `instance-${internalId.toString(16).padStart(8, '0')}`;
}

type Bus = DiskBody['bus'];

function disksOf(server: ServerRow, wanted: string | undefined): DiskBody[] {
  const flavor = JSON.parse(server.flavor) as ServerFlavor;
  const image = server.image === null ? null : (JSON.parse(server.image) as ServerImage);
  const bus: Bus = wanted === 'scsi' || wanted === 'sata' || wanted === 'ide' ? wanted : 'virtio';
  const prefix = { virtio: 'vd', scsi: 'sd', sata: 'sd', ide: 'hd' }[bus];
  const disks: DiskBody[] = [];
  const add = (role: DiskBody['role'], bytes: number, more: Partial<DiskBody> = {}) => {
    const device = `${prefix}${String.fromCharCode(97 + disks.length)}`;
    disks.push({
      role,
      device,
      bus,
      size_bytes: bytes,
      image: null,
      volume_id: null,
      boot_index: null,
      ...more,
    });
  };
  const gigabytes = Math.max(flavor.disk, flavor.disk > 0 ? (image?.min_disk ?? 0) : 0);
  const ref = image && {
    id: image.id,
    disk_format: image.disk_format as 'qcow2' | 'raw' | 'iso',
    size: image.size,
    sha512: image.sha512,
  };
  if (ref?.disk_format === 'iso') {
    add('root', (gigabytes || 1) * GIB, { boot_index: 2 });
    add('cdrom', 0, { image: ref, boot_index: 1, bus: 'sata', device: 'sdz' });
  } else {
    add('root', gigabytes * GIB, { image: ref, boot_index: 1 });
  }
  if (flavor.ephemeral > 0) add('ephemeral', flavor.ephemeral * GIB);
  if (flavor.swap > 0) add('swap', flavor.swap * MIB);
  return disks;
}

function guestMetadata(server: ServerRow, ports: readonly PortOfServer[]): GuestMetadata {
  const key = server.key === null ? null : (JSON.parse(server.key) as ServerKey);
  const groups = new Set(ports.flatMap((port) => port.security_groups.map(({ name }) => name)));
  return {
    uuid: server.id,
    name: server.name,
    hostname: server.hostname,
    project_id: server.project_id,
    availability_zone: server.availability_zone ?? 'nova',
    launch_index: server.launch_index,
    meta: JSON.parse(server.metadata) as Record<string, string>,
    keys: key ? [key] : [],
    user_data: server.user_data,
    admin_pass: server.admin_pass,
    instance_type: (JSON.parse(server.flavor) as ServerFlavor).name,
    image_id: server.image_id,
    security_groups: [...groups].sort(),
    networks: ports.map((port) => ({
      network_id: port.network_id,
      port_id: port.port_id,
      mac: port.mac_address,
      mtu: port.mtu,
      fixed_ips: port.addresses.map(({ ip_address, prefix_length, subnet }) => ({
        ip_address,
        prefix_length,
        subnet,
      })),
      floating_ips: port.addresses.flatMap(({ floating_ip }) => floating_ip ?? []),
    })),
  };
}
