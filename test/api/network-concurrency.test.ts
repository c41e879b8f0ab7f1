import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NetworkApi } from '../support/network.js';
import { DIALECTS } from '../support/stores.js';

const times = (n: number) => Array.from({ length: n }, (_, i) => i);

for (const dialect of DIALECTS) {
  describe(`parallel network requests on ${dialect}`, () => {
    let api: NetworkApi;
    beforeAll(async () => {
      api = await NetworkApi.open(dialect);
    });
    afterAll(() => api.close());

    const quota = async (limits: object) => {
      const reply = await api.call(api.admin, 'PUT', `quotas/${api.demo.projectId}`, { quota: limits });
      expect(reply.status, reply.text).toBe(200);
    };

    it('50 networks at a quota of 10: exactly 10, all on segments of their own', async () => {
      await quota({ network: 10 });
      const replies = await Promise.all(
        times(50).map((i) => api.insist(api.demo, 'POST', 'networks', { network: { name: `n${i}` } })),
      );
      const made = replies.filter((reply) => reply.status === 201);
      expect(made).toHaveLength(10);
      expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([201, 409]));
      const refused = replies.find((reply) => reply.status === 409)!;
      expect(refused.json).toEqual({
        NeutronError: {
          type: 'OverQuota',
          message: "Quota exceeded for resources: ['network'].",
          detail: '',
        },
      });
      const all = await api.call(api.admin, 'GET', 'networks?provider:network_type=vxlan');
      const vnis = all.json.networks.map((n: Record<string, unknown>) => n['provider:segmentation_id']);
      expect(new Set(vnis).size).toBe(vnis.length);
    });

    it('50 ports at a quota of 10: exactly 10, each with an address of its own', async () => {
      const network = await api.network(api.admin, { shared: true });
      await api.subnet(api.admin, network.id, '10.1.0.0/24');
      await quota({ port: 10 });
      const replies = await Promise.all(
        times(50).map(() => api.insist(api.demo, 'POST', 'ports', { port: { network_id: network.id } })),
      );
      const ports = replies.filter((reply) => reply.status === 201).map((reply) => reply.json.port);
      expect(ports).toHaveLength(10);
      expect(new Set(ports.map((port) => port.fixed_ips[0].ip_address)).size).toBe(10);
      expect(new Set(ports.map((port) => port.mac_address)).size).toBe(10);
      await quota({ port: 500 });
    });

    it('40 floating IPs from a pool of 20: each address once, the rest is refused', async () => {
      const { network } = await api.external(20);
      const replies = await Promise.all(
        times(40).map((i) =>
          api.insist(i % 2 ? api.demo : api.other, 'POST', 'floatingips', {
            floatingip: { floating_network_id: network.id },
          }),
        ),
      );
      const made = replies.filter((reply) => reply.status === 201);
      const addresses = made.map((reply) => reply.json.floatingip.floating_ip_address);
      expect(new Set(addresses).size).toBe(20);
      expect(addresses).toHaveLength(20);
      expect(replies.find((reply) => reply.status !== 201)!.json.NeutronError.type).toBe(
        'IpAddressGenerationFailure',
      );
    });

    it('one fixed address: the same wish at once is granted once', async () => {
      const network = await api.network(api.admin, { name: 'fixed' });
      await api.subnet(api.admin, network.id, '10.2.0.0/24');
      const wish = { port: { network_id: network.id, fixed_ips: [{ ip_address: '10.2.0.77' }] } };
      const replies = await Promise.all(times(10).map(() => api.insist(api.admin, 'POST', 'ports', wish)));
      expect(replies.filter((reply) => reply.status === 201)).toHaveLength(1);
      expect(replies.filter((reply) => reply.status === 409)).toHaveLength(9);
    });

    it('overlapping subnets at once: one of them', async () => {
      const network = await api.network(api.admin, { name: 'overlap' });
      const body = { subnet: { network_id: network.id, ip_version: 4, cidr: '10.3.0.0/24' } };
      const replies = await Promise.all(times(10).map(() => api.insist(api.admin, 'POST', 'subnets', body)));
      expect(replies.filter((reply) => reply.status === 201)).toHaveLength(1);
      expect(replies.find((reply) => reply.status === 400)!.json.NeutronError.message).toMatch(
        /overlaps with another subnet/,
      );
    });

    it('one router, two overlapping interfaces at once: one of them', async () => {
      const router = await api.make(api.admin, 'routers', 'router', {});
      const subnets = await Promise.all(
        times(4).map(async () => {
          const network = await api.network(api.admin, { name: 'if' });
          return await api.subnet(api.admin, network.id, '10.4.0.0/24');
        }),
      );
      const replies = await Promise.all(
        subnets.map((subnet) =>
          api.insist(api.admin, 'PUT', `routers/${router.id}/add_router_interface`, { subnet_id: subnet.id }),
        ),
      );
      expect(replies.map((reply) => reply.status).sort()).toEqual([200, 400, 400, 400]);
    });

    it('lists for the first time at once: one default group per project', async () => {
      const lists = await Promise.all(times(10).map(() => api.insist(api.other, 'GET', 'security-groups')));
      for (const list of lists) {
        expect(list.json.security_groups).toHaveLength(1);
        expect(list.json.security_groups[0].security_group_rules).toHaveLength(4);
      }
    });
  });
}
