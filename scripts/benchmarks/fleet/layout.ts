import { randomBytes } from 'node:crypto';
import { Cloud } from '../../lab/cloud.js';
import { create, list, type Named } from '../../lab/resources.js';

/** A project with one network; its servers use its default group, whose members may reach each other. */
export interface Tenant {
  readonly cloud: Cloud;
  readonly network: Named;
}

/** Who uses the cloud of the fleet. */
export interface Layout {
  readonly admin: Cloud;
  readonly image: Named;
  readonly flavor: Named;
  readonly tenants: readonly Tenant[];
  /** The project whose group has members on as many hosts as `spread` asked for. */
  readonly wide: Tenant & { readonly group: Named; readonly serverGroup: Named };
  readonly external: Named;
}

const IMAGE_BYTES = 1024 * 1024;
const UNLIMITED_COMPUTE = {
  instances: -1,
  cores: -1,
  ram: -1,
  server_groups: -1,
  server_group_members: -1,
};
const UNLIMITED_NETWORK = {
  port: -1,
  network: -1,
  subnet: -1,
  security_group: -1,
  security_group_rule: -1,
  floatingip: -1,
};

/** Makes image, flavor, projects and networks through the API. Addresses are rows: nothing ever carries their traffic. */
export async function layOut(admin: Cloud, tenants: number): Promise<Layout> {
  const image = await uploadImage(admin);
  const flavor = await create(admin, 'flavor', { name: 'fleet', vcpus: 1, ram: 512, disk: 1 });
  const user = await fleetUser(admin);
  const external = await create(admin, 'network', {
    name: 'fleet-external',
    'router:external': true,
    'provider:network_type': 'flat',
    'provider:physical_network': 'extnet',
  });
  await create(admin, 'subnet', {
    network_id: external.id,
    ip_version: 4,
    cidr: '198.18.0.0/15',
    enable_dhcp: false,
  });
  const all: Tenant[] = [];
  for (let i = 0; i < tenants; i++) all.push(await tenant(admin, user, `fleet-${i}`));
  const wide = await tenant(admin, user, 'fleet-wide');
  const group = (await list(wide.cloud, 'securityGroup', { name: 'default' }))[0]!;
  return {
    admin,
    image,
    flavor,
    tenants: all,
    wide: { ...wide, group, serverGroup: await apart(wide) },
    external,
  };
}

/** Like servers of a tenant; gives the id of the first. */
export async function createServers(
  layout: Layout,
  { cloud, network }: Tenant,
  name: string,
  count = 1,
  hints: object = {},
): Promise<string> {
  const server = {
    name,
    imageRef: layout.image.id,
    flavorRef: layout.flavor.id,
    networks: [{ uuid: network.id }],
    min_count: count,
    max_count: count,
  };
  const body = await cloud.call<{ server: Named }>('compute', 'POST', '/servers', { server, ...hints });
  return body.server.id;
}

interface FleetUser extends Named {
  readonly password: string;
  readonly role: string;
}

async function fleetUser(admin: Cloud): Promise<FleetUser> {
  const password = randomBytes(18).toString('base64url');
  const user = await create(admin, 'user', { name: 'fleet', domain_id: 'default', password });
  const role = (await list(admin, 'role', { name: 'member' }))[0];
  if (!role) throw new Error('the cloud has no role "member"');
  return { ...user, password, role: role.id };
}

async function tenant(admin: Cloud, user: FleetUser, name: string): Promise<Tenant> {
  const project = await create(admin, 'project', { name, domain_id: 'default' });
  await admin.call('identity', 'PUT', `/projects/${project.id}/users/${user.id}/roles/${user.role}`);
  await admin.call('compute', 'PUT', `/os-quota-sets/${project.id}`, { quota_set: UNLIMITED_COMPUTE });
  await admin.call('network', 'PUT', `/v2.0/quotas/${project.id}`, { quota: UNLIMITED_NETWORK });
  const cloud = new Cloud(admin.endpoint, { username: user.name, password: user.password, project: name });
  await cloud.authenticate();
  const network = await create(cloud, 'network', { name });
  await create(cloud, 'subnet', { network_id: network.id, ip_version: 4, cidr: '10.0.0.0/16' });
  return { cloud, network };
}

/** Members of this server group are on different hosts. */
async function apart({ cloud }: Tenant): Promise<Named> {
  const server_group = { name: 'apart', policies: ['anti-affinity'] };
  return (await cloud.call<{ server_group: Named }>('compute', 'POST', '/os-server-groups', { server_group }))
    .server_group;
}

async function uploadImage(admin: Cloud): Promise<Named> {
  const attributes = { name: 'fleet', disk_format: 'raw', container_format: 'bare', visibility: 'public' };
  const image = await admin.call<Named>('image', 'POST', '/v2/images', attributes);
  await admin.call('image', 'PUT', `/v2/images/${image.id}/file`, new Uint8Array(IMAGE_BYTES), {
    'content-type': 'application/octet-stream',
  });
  return image;
}
