import type { FaultCloud } from './fault-cloud.js';
import { tinyFlavor, uploadImage } from './server-request.js';
import { Tenant } from './tenant.js';

/** What a tenant needs around servers: an image, a network behind a router to the provider's network, a security group. */
export class FaultScene {
  readonly tenant: Tenant;
  readonly imageId: string;
  readonly flavorId: string;
  readonly networkId: string;
  readonly subnetId: string;
  readonly externalId: string;
  readonly routerId: string;
  readonly groupId: string;

  private constructor(tenant: Tenant, ids: Readonly<Record<string, string>>) {
    this.tenant = tenant;
    const id = (name: string) => ids[name] ?? '';
    this.imageId = id('image');
    this.flavorId = id('flavor');
    this.networkId = id('network');
    this.subnetId = id('subnet');
    this.externalId = id('external');
    this.routerId = id('router');
    this.groupId = id('group');
  }

  static async open(cloud: FaultCloud): Promise<FaultScene> {
    const tenant = new Tenant(cloud);
    await tenant.open();
    const image = await uploadImage(cloud);
    const network = await tenant.create('network', {});
    // what is below the pool is never drawn for a port, nor for DHCP: tests may ask for it
    const allocation_pools = [{ start: '10.0.0.100', end: '10.0.0.254' }];
    const inside = { network_id: network, ip_version: 4, cidr: '10.0.0.0/24', allocation_pools };
    const subnet = await tenant.create('subnet', inside);
    const external = await tenant.create('network', {
      'router:external': true,
      'provider:network_type': 'flat',
      'provider:physical_network': 'extnet',
    });
    await tenant.create('subnet', {
      network_id: external,
      ip_version: 4,
      cidr: '198.51.100.0/24',
      enable_dhcp: false,
    });
    const router = await tenant.create('router', { external_gateway_info: { network_id: external } });
    await tenant.insist('PUT', `/network/v2.0/routers/${router}/add_router_interface`, { subnet_id: subnet });
    const group = await tenant.create('security_group', {});
    const flavor = await tinyFlavor(cloud);
    return new FaultScene(tenant, { image, flavor, network, subnet, external, router, group });
  }

  /** Asks for a server on the network; resolves with its id as soon as that is known. */
  async server(more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return await this.tenant.create('server', {
      imageRef: this.imageId,
      flavorRef: this.flavorId,
      networks: [{ uuid: this.networkId }],
      security_groups: [{ name: this.groupId }],
      ...more,
    });
  }

  /** An image that no host has yet; gives its id. */
  async uploadImage(): Promise<string> {
    return await uploadImage(this.tenant.cloud);
  }

  async interface(action: 'add' | 'remove', subnetId: string): Promise<void> {
    // an attempt whose answer was lost may have been carried out: 400 and 404 say so
    await this.tenant.insist(
      'PUT',
      `/network/v2.0/routers/${this.routerId}/${action}_router_interface`,
      { subnet_id: subnetId },
      action === 'add' ? [400, 409] : [404, 409],
    );
  }
}
