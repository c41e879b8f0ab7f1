import { specObject } from '../../../src/protocol/keys.js';
import type {
  ObjectBodies,
  ObjectKey,
  ObjectKind,
  Spec,
  SpecObject,
  SubnetBody,
} from '../../../src/protocol/objects.js';

export const SERVER_ID = '11110001-0000-4000-8000-000000000001';
const NETWORK_ID = '22220001-0000-4000-8000-000000000001';
const EXTERNAL_ID = '22220002-0000-4000-8000-000000000002';
const PORT_ID = '33330001-0000-4000-8000-000000000001';
const DHCP_PORT_ID = '33330002-0000-4000-8000-000000000002';
const ROUTER_PORT_ID = '33330003-0000-4000-8000-000000000003';
const GATEWAY_PORT_ID = '33330004-0000-4000-8000-000000000004';
const GROUP_ID = '44440001-0000-4000-8000-000000000001';
const ROUTER_ID = '55550001-0000-4000-8000-000000000001';
const IMAGE_ID = '66660001-0000-4000-8000-000000000001';
const VOLUME_ID = '77770001-0000-4000-8000-000000000001';

/** Bytes of a raw image. */
export const IMAGE = Buffer.alloc(1024 * 1024, 7);

const SUBNET: SubnetBody = {
  id: '88880001-0000-4000-8000-000000000001',
  ip_version: 4,
  cidr: '10.0.0.0/24',
  gateway_ip: '10.0.0.1',
  dns_nameservers: ['192.0.2.53'],
  host_routes: [],
  enable_dhcp: true,
  ipv6_ra_mode: null,
  ipv6_address_mode: null,
};

/** One of everything: a guest with a volume on a tenant network, behind a router with a floating IP. */
export function exampleSpec(sha512: string, size: number): Spec {
  const spec: Record<ObjectKey, SpecObject> = {};
  const add = <K extends ObjectKind>(kind: K, id: string, body: ObjectBodies[K]) => {
    spec[`${kind}/${id}`] = specObject(body);
  };
  const image = { id: IMAGE_ID, disk_format: 'raw' as const, size, sha512 };
  add('network', NETWORK_ID, {
    id: NETWORK_ID,
    type: 'vxlan',
    physical_network: null,
    segmentation_id: 7,
    mtu: 1450,
    peers: ['192.0.2.2'],
    remote_ports: [{ mac: 'fa:16:3e:00:00:99', vtep: '192.0.2.2' }],
  });
  add('network', EXTERNAL_ID, {
    id: EXTERNAL_ID,
    type: 'flat',
    physical_network: 'extnet',
    segmentation_id: null,
    mtu: 1500,
    peers: [],
    remote_ports: [],
  });
  add('security-group', GROUP_ID, {
    id: GROUP_ID,
    stateful: true,
    rules: [
      rule('99990001-0000-4000-8000-000000000001', { direction: 'egress' }),
      rule('99990002-0000-4000-8000-000000000002', {
        protocol: 'tcp',
        port_range_min: 22,
        port_range_max: 22,
      }),
      rule('99990003-0000-4000-8000-000000000003', { remote_group_id: GROUP_ID }),
    ],
  });
  add('group-members', `${GROUP_ID}:${NETWORK_ID}`, {
    group_id: GROUP_ID,
    network_id: NETWORK_ID,
    ipv4: ['10.0.0.5', '10.0.0.9'],
    ipv6: [],
  });
  add('port', PORT_ID, {
    id: PORT_ID,
    network_id: NETWORK_ID,
    device_id: SERVER_ID,
    mac: 'fa:16:3e:00:00:05',
    mtu: 1450,
    admin_state_up: true,
    fixed_ips: ['10.0.0.5'],
    allowed_address_pairs: [],
    port_security: true,
    security_group_ids: [GROUP_ID],
  });
  add('dhcp', NETWORK_ID, {
    network_id: NETWORK_ID,
    port_id: DHCP_PORT_ID,
    mac: 'fa:16:3e:00:00:02',
    addresses: ['10.0.0.2/24'],
    mtu: 1450,
    dns_domain: 'maru.test',
    subnets: [SUBNET],
    reservations: [
      {
        port_id: PORT_ID,
        mac: 'fa:16:3e:00:00:05',
        hostname: 'one',
        fixed_ips: [{ subnet_id: SUBNET.id, ip_address: '10.0.0.5' }],
        extra_dhcp_opts: [],
      },
    ],
  });
  add('router', ROUTER_ID, {
    id: ROUTER_ID,
    epoch: 1,
    admin_state_up: true,
    external: {
      port_id: GATEWAY_PORT_ID,
      network_id: EXTERNAL_ID,
      mac: 'fa:16:3e:00:00:04',
      mtu: 1500,
      addresses: ['198.51.100.10/24'],
      gateways: ['198.51.100.1'],
      enable_snat: true,
    },
    interfaces: [
      {
        port_id: ROUTER_PORT_ID,
        network_id: NETWORK_ID,
        mac: 'fa:16:3e:00:00:03',
        mtu: 1450,
        addresses: ['10.0.0.1/24'],
      },
    ],
    routes: [],
    floating_ips: [
      {
        id: 'aaaa0001-0000-4000-8000-000000000001',
        floating_ip_address: '198.51.100.20',
        fixed_ip_address: '10.0.0.5',
        port_id: PORT_ID,
      },
    ],
  });
  add('volume', VOLUME_ID, { id: VOLUME_ID, format: 'qcow2', size_bytes: 1024 ** 3, image: null });
  add('server', SERVER_ID, {
    id: SERVER_ID,
    instance_name: 'instance-00000001',
    name: 'one',
    project_id: 'p',
    user_id: 'u',
    run_epoch: 1,
    vcpus: 1,
    memory_mb: 256,
    power: 'running',
    reboot: { soft: 0, hard: 0 },
    disks: [
      {
        role: 'root',
        device: 'vda',
        bus: 'virtio',
        size_bytes: 1024 ** 3,
        image,
        volume_id: null,
        boot_index: 1,
      },
      {
        role: 'volume',
        device: 'vdb',
        bus: 'virtio',
        size_bytes: 0,
        image: null,
        volume_id: VOLUME_ID,
        boot_index: null,
      },
    ],
    nics: [{ port_id: PORT_ID, mac: 'fa:16:3e:00:00:05', mtu: 1450, model: 'virtio' }],
    config_drive: true,
    metadata: {
      uuid: SERVER_ID,
      name: 'one',
      hostname: 'one',
      project_id: 'p',
      availability_zone: 'nova',
      launch_index: 0,
      meta: {},
      keys: [],
      user_data: null,
      admin_pass: null,
      instance_type: 'm1.tiny',
      image_id: IMAGE_ID,
      security_groups: ['default'],
      networks: [],
    },
    hardware: {},
  });
  return spec;
}

function rule(id: string, changes: Partial<ObjectBodies['security-group']['rules'][number]>) {
  return {
    id,
    direction: 'ingress' as const,
    ethertype: 'IPv4' as const,
    protocol: null,
    port_range_min: null,
    port_range_max: null,
    remote_ip_prefix: null,
    remote_group_id: null,
    ...changes,
  };
}
