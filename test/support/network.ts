import { networkService } from '../../src/api/network/service.js';
import { TestApp, type TestReply, type TestUser } from './app.js';
import type { Dialect } from './stores.js';

/** The network API in this process, with the bodies that tests need again and again. */
export class NetworkApi {
  readonly cloud: TestApp;
  readonly admin: TestUser;
  readonly demo: TestUser;
  readonly other: TestUser;

  private constructor(cloud: TestApp, admin: TestUser, demo: TestUser, other: TestUser) {
    this.cloud = cloud;
    this.admin = admin;
    this.demo = demo;
    this.other = other;
  }

  static async open(dialect: Dialect = 'sqlite'): Promise<NetworkApi> {
    const cloud = await TestApp.open({ services: [() => networkService], dialect });
    return new NetworkApi(
      cloud,
      await cloud.admin(),
      await cloud.projectUser('demo'),
      await cloud.projectUser('other'),
    );
  }

  close(): Promise<void> {
    return this.cloud.close();
  }

  call(who: TestUser, method: string, path: string, body?: unknown): Promise<TestReply> {
    return this.cloud.request(method, `/network/v2.0/${path}`, { token: who.token, body });
  }

  /** One of many calls at once. */
  insist(who: TestUser, method: string, path: string, body?: unknown): Promise<TestReply> {
    return this.cloud.insist(method, `/network/v2.0/${path}`, { token: who.token, body });
  }

  /** Creates and returns the resource; throws with the reply when it is refused. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into resources of every shape
  async make(who: TestUser, path: string, name: string, attributes: object): Promise<any> {
    const reply = await this.call(who, 'POST', path, { [name]: attributes });
    if (reply.status !== 201) throw new Error(`POST ${path}: ${reply.status} ${reply.text}`);
    return reply.json[name];
  }

  network(who: TestUser, attributes: object = {}) {
    return this.make(who, 'networks', 'network', attributes);
  }

  subnet(who: TestUser, networkId: string, cidr: string, attributes: object = {}) {
    const ip_version = cidr.includes(':') ? 6 : 4;
    return this.make(who, 'subnets', 'subnet', { network_id: networkId, cidr, ip_version, ...attributes });
  }

  port(who: TestUser, networkId: string, attributes: object = {}) {
    return this.make(who, 'ports', 'port', { network_id: networkId, ...attributes });
  }

  /** An external network with a pool of the given size from 172.24.4.10 on. */
  async external(size = 100) {
    const network = await this.network(this.admin, { name: 'public', 'router:external': true });
    const subnet = await this.subnet(this.admin, network.id, '172.24.4.0/24', {
      enable_dhcp: false,
      allocation_pools: [{ start: '172.24.4.10', end: `172.24.4.${9 + size}` }],
    });
    return { network, subnet };
  }

  /** A tenant's network, subnet and router with gateway. */
  async routed(who: TestUser, externalId: string, cidr = '10.0.0.0/24') {
    const network = await this.network(who);
    const subnet = await this.subnet(who, network.id, cidr);
    const router = await this.make(who, 'routers', 'router', {
      external_gateway_info: { network_id: externalId },
    });
    const added = await this.call(who, 'PUT', `routers/${router.id}/add_router_interface`, {
      subnet_id: subnet.id,
    });
    if (added.status !== 200) throw new Error(added.text);
    return { network, subnet, router };
  }
}
