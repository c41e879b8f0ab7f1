import { describe, expect, it } from 'vitest';
import type { PortOfServer } from '../../src/core/port/of-servers.js';
import { serverObject } from '../../src/desired/server.js';
import type { ServerRow } from '../../src/store/compute/server.js';

const IMAGE = {
  id: 'b1d2c0de-0000-4000-8000-000000000001',
  name: 'tiny',
  disk_format: 'qcow2',
  size: 30_000_000,
  virtual_size: 200_000_000,
  sha512: 'ab'.repeat(64),
  min_disk: 0,
  min_ram: 0,
  properties: {},
};
const FLAVOR = {
  id: '1',
  name: 'm1.tiny',
  vcpus: 1,
  ram: 512,
  disk: 1,
  ephemeral: 0,
  swap: 0,
  rxtx_factor: 1,
  extra_specs: {},
};
const ROW: ServerRow = {
  id: '5e4fe400-0000-4000-8000-000000000001',
  internal_id: 26,
  project_id: 'project',
  user_id: 'user',
  name: 'Web 1',
  description: null,
  hostname: 'web-1',
  reservation_id: 'r-12345678',
  launch_index: 0,
  availability_zone: null,
  image_id: IMAGE.id,
  image: JSON.stringify(IMAGE),
  flavor: JSON.stringify(FLAVOR),
  flavor_id: '1',
  vcpus: 1,
  memory_mb: 512,
  key_name: 'k1',
  key: JSON.stringify({ name: 'k1', type: 'ssh', data: 'ssh-ed25519 AAAA me' }),
  user_data: 'IyEvYmluL3NoCg==',
  config_drive: 1,
  admin_pass: 'correct horse',
  metadata: '{"role":"web"}',
  access_ip_v4: null,
  access_ip_v6: null,
  disk_config: 'MANUAL',
  hardware: '{}',
  host_id: 'host',
  run_epoch: 1,
  power: 'running',
  soft_reboots: 0,
  hard_reboots: 2,
  locked: 0,
  locked_by: null,
  locked_reason: null,
  delete_requested_at: null,
  task_state: null,
  task_request_id: null,
  build_attempts: 1,
  failed_hosts: '[]',
  placement: null,
  observed_power: 'running',
  launched_at: '2026-01-01T00:00:00.000Z',
  deleted_at: null,
  failed: 0,
  fault: null,
  vm_state: 'active',
  status: 'ACTIVE',
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  revision: 7,
};
const PORT: PortOfServer = {
  port_id: 'd0e10000-0000-4000-8000-000000000001',
  server_id: ROW.id,
  network_id: 'ae700000-0000-4000-8000-000000000001',
  network_name: 'private',
  mtu: 1450,
  mac_address: 'fa:16:3e:00:00:01',
  status: 'ACTIVE',
  addresses: [
    {
      ip_address: '10.0.0.5',
      version: 4,
      prefix_length: 24,
      floating_ip: '203.0.113.7',
      subnet: {
        id: '50b00000-0000-4000-8000-000000000001',
        ip_version: 4,
        cidr: '10.0.0.0/24',
        gateway_ip: '10.0.0.1',
        dns_nameservers: ['9.9.9.9'],
        host_routes: [],
        enable_dhcp: true,
        ipv6_ra_mode: null,
        ipv6_address_mode: null,
      },
    },
  ],
  security_groups: [
    { id: 'g2', name: 'web' },
    { id: 'g1', name: 'default' },
  ],
};

describe('the object of a server', () => {
  const cases: Record<string, [Partial<ServerRow>, readonly PortOfServer[]]> = {
    'from-an-image': [{}, [PORT]],
    'with-more-disks-and-e1000': [
      {
        flavor: JSON.stringify({ ...FLAVOR, disk: 20, ephemeral: 5, swap: 512 }),
        hardware: '{"hw_disk_bus":"scsi","hw_vif_model":"e1000"}',
        power: 'stopped',
        config_drive: 0,
        key: null,
      },
      [PORT],
    ],
    'from-an-iso-without-network': [
      { image: JSON.stringify({ ...IMAGE, disk_format: 'iso' }), user_data: null },
      [],
    ],
    'root-as-large-as-the-image': [{ flavor: JSON.stringify({ ...FLAVOR, disk: 0 }) }, []],
  };
  for (const [name, [changes, ports]] of Object.entries(cases)) {
    it(`is as in desired/${name}.json`, async () => {
      const text = `${JSON.stringify(serverObject({ ...ROW, ...changes }, ports), null, 2)}\n`;
      await expect(text).toMatchFileSnapshot(`desired/server-${name}.json`);
    });
  }

  it('is the same whatever the API alone shows of the server', () => {
    const shown = {
      revision: 8,
      updated_at: 'later',
      status: 'ERROR',
      locked: 1,
      description: 'x',
      fault: '{}',
    };
    expect(serverObject({ ...ROW, ...shown }, [PORT])).toEqual(serverObject(ROW, [PORT]));
  });
});
