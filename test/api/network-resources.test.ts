import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { floatingIps } from '../../src/api/network/floatingips.js';
import { networks } from '../../src/api/network/networks.js';
import { ports } from '../../src/api/network/ports.js';
import { routers } from '../../src/api/network/routers.js';
import { securityGroupRules, securityGroups } from '../../src/api/network/security-groups.js';
import { subnets } from '../../src/api/network/subnets.js';
import { NetworkApi } from '../support/network.js';
import { DIALECTS } from '../support/stores.js';

for (const dialect of DIALECTS) {
  describe(`network resources on ${dialect}`, () => {
    let api: NetworkApi;
    beforeAll(async () => {
      api = await NetworkApi.open(dialect);
    });
    afterAll(() => api.close());

    const get = async (path: string) => {
      const reply = await api.call(api.demo, 'GET', path);
      expect(reply.status, reply.text).toBe(200);
      return reply.json;
    };

    describe('lists', () => {
      beforeAll(async () => {
        for (const name of ['a', 'b', 'c', 'd', 'e'])
          await api.network(api.demo, { name, description: `net ${name}` });
      });
      const names = (list: { networks: { name: string }[] }) => list.networks.map((network) => network.name);

      it('filters, a filter given twice meaning either', async () => {
        expect(names(await get('networks?name=a&name=c&sort_key=name&sort_dir=desc'))).toEqual(['c', 'a']);
        expect(names(await get('networks?name=a&admin_state_up=False'))).toEqual([]);
        expect(names(await get('networks?status=DOWN'))).toEqual([]);
      });

      it('shows only the fields asked for', async () => {
        const { networks } = await get('networks?fields=name&fields=id&name=a');
        expect(Object.keys(networks[0]).sort()).toEqual(['id', 'name']);
      });

      it('pages forward and back by its own links', async () => {
        const path = (href: string) => href.split('/v2.0/')[1]!;
        const first = await get('networks?limit=2&sort_key=name&sort_dir=asc');
        expect(names(first)).toEqual(['a', 'b']);
        const link = (list: { networks_links: { rel: string; href: string }[] }, rel: string) =>
          path(list.networks_links.find((one) => one.rel === rel)!.href);
        const second = await get(link(first, 'next'));
        expect(names(second)).toEqual(['c', 'd']);
        const third = await get(link(second, 'next'));
        expect(names(third)).toEqual(['e']);
        expect(third.networks_links.map((one: { rel: string }) => one.rel)).toEqual(['previous']);
        expect(names(await get(link(second, 'previous')))).toEqual(['a', 'b']);
      });

      it('tags: set, found, removed', async () => {
        const [{ id }] = (await get('networks?name=a')).networks;
        const [{ id: other }] = (await get('networks?name=b')).networks;
        const call = (method: string, path: string, body?: object) => api.call(api.demo, method, path, body);
        expect((await call('PUT', `networks/${id}/tags`, { tags: ['red', 'blue', 'red'] })).json).toEqual({
          tags: ['blue', 'red'],
        });
        expect((await call('PUT', `networks/${other}/tags/red`)).status).toBe(201);
        expect((await call('GET', `networks/${id}/tags/blue`)).status).toBe(204);
        expect((await call('GET', `networks/${id}/tags/green`)).json.NeutronError.type).toBe('TagNotFound');
        expect(names(await get('networks?tags=red,blue'))).toEqual(['a']);
        expect(names(await get('networks?tags-any=red,blue&sort_key=name'))).toEqual(['a', 'b']);
        expect(names(await get('networks?not-tags-any=red&sort_key=name'))).toEqual(['c', 'd', 'e']);
        expect((await call('DELETE', `networks/${id}/tags/blue`)).status).toBe(204);
        expect((await call('DELETE', `networks/${id}/tags`)).status).toBe(204);
        expect((await get(`networks/${id}/tags`)).tags).toEqual([]);
        expect((await call('PUT', `networks/${id}/tags/${'x'.repeat(61)}`)).status).toBe(400);
      });

      it('ports are found by address, part of one, subnet, group and device', async () => {
        const network = await api.network(api.demo, { name: 'ports' });
        const subnet = await api.subnet(api.demo, network.id, '10.20.0.0/24');
        const port = await api.port(api.demo, network.id, {
          fixed_ips: [{ ip_address: '10.20.0.123' }],
          device_id: 'device',
        });
        await api.port(api.demo, network.id, {
          fixed_ips: [{ ip_address: '10.20.0.45' }],
          security_groups: [],
        });
        const found = async (query: string) =>
          (await get(`ports?network_id=${network.id}&${query}`)).ports.map((one: { id: string }) => one.id);
        expect(await found('fixed_ips=ip_address=10.20.0.123')).toEqual([port.id]);
        expect(await found('fixed_ips=ip_address_substr=0.12')).toEqual([port.id]);
        expect(await found(`fixed_ips=subnet_id=${subnet.id}`)).toHaveLength(2);
        expect(await found(`security_groups=${port.security_groups[0]}`)).toEqual([port.id]);
        expect(await found('device_id=device')).toEqual([port.id]);
      });
    });

    describe('sorting', () => {
      it('pages through every list by every attribute, missing none', async () => {
        const external = await api.external();
        const { network } = await api.routed(api.demo, external.network.id, '10.90.0.0/24');
        await api.port(api.demo, network.id);
        await api.subnet(api.demo, network.id, '2001:db8:90::/64');
        for (let i = 0; i < 2; i++) {
          await api.make(api.demo, 'floatingips', 'floatingip', { floating_network_id: external.network.id });
        }
        for (const { path, plural, filters } of [
          networks,
          subnets,
          ports,
          routers,
          floatingIps,
          securityGroups,
          securityGroupRules,
        ]) {
          const all = (await api.call(api.admin, 'GET', path)).json[plural].length;
          for (const key of Object.keys(filters)) {
            const seen = new Set<string>();
            let url: string | undefined = `${path}?sort_key=${key}&sort_dir=desc&limit=2`;
            while (url) {
              const reply = await api.call(api.admin, 'GET', url);
              expect(reply.status, `${url}: ${reply.text}`).toBe(200);
              for (const { id } of reply.json[plural]) seen.add(id);
              const next = reply.json[`${plural}_links`]?.find(
                (link: { rel: string }) => link.rel === 'next',
              );
              url = next?.href.split('/v2.0/')[1];
            }
            expect(seen.size, `${path} by ${key}`).toBe(all);
          }
        }
      });
    });

    describe('subnets', () => {
      it('have a gateway and pools around it', async () => {
        const network = await api.network(api.demo);
        const subnet = await api.subnet(api.demo, network.id, '10.30.0.0/24', { gateway_ip: '10.30.0.9' });
        expect(subnet.allocation_pools).toEqual([
          { start: '10.30.0.1', end: '10.30.0.8' },
          { start: '10.30.0.10', end: '10.30.0.254' },
        ]);
        const without = await api.subnet(api.demo, network.id, '10.31.0.0/24', { gateway_ip: null });
        expect([without.gateway_ip, without.allocation_pools]).toEqual([
          null,
          [{ start: '10.31.0.1', end: '10.31.0.254' }],
        ]);
      });

      it('SLAAC: addresses follow the MAC, also of ports that were there before', async () => {
        const network = await api.network(api.demo);
        const before = await api.port(api.demo, network.id, { mac_address: 'fa:16:3e:11:22:33' });
        const slaac = { ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' };
        const subnet = await api.subnet(api.demo, network.id, '2001:db8:1::/64', slaac);
        const fixed = [{ subnet_id: subnet.id, ip_address: '2001:db8:1:0:f816:3eff:fe11:2233' }];
        expect((await get(`ports/${before.id}`)).port.fixed_ips).toEqual(fixed);
        const reply = await api.call(api.demo, 'POST', 'ports', {
          port: {
            network_id: network.id,
            fixed_ips: [{ subnet_id: subnet.id, ip_address: '2001:db8:1::5' }],
          },
        });
        expect(reply.status).toBe(400);
        expect((await api.call(api.demo, 'DELETE', `subnets/${subnet.id}`)).status).toBe(204);
        expect((await get(`ports/${before.id}`)).port.fixed_ips).toEqual([]);
      });

      it('use is counted for administrators', async () => {
        const network = await api.network(api.demo);
        await api.subnet(api.demo, network.id, '10.32.0.0/28');
        await api.port(api.demo, network.id);
        const reply = await api.call(api.admin, 'GET', `network-ip-availabilities/${network.id}`);
        expect(reply.json.network_ip_availability).toMatchObject({ used_ips: 1, total_ips: 13 });
        expect((await api.call(api.demo, 'GET', 'network-ip-availabilities')).status).toBe(403);
      });
    });

    describe('routers and floating IPs', () => {
      it('a gateway comes, changes and goes', async () => {
        const network = (await api.call(api.demo, 'GET', 'networks?router:external=True')).json.networks[0];
        const { router, subnet } = await api.routed(api.demo, network.id, '10.40.0.0/24');
        expect(router.external_gateway_info).toMatchObject({ network_id: network.id, enable_snat: true });
        expect(router.external_gateway_info.external_fixed_ips).toHaveLength(1);
        const put = (body: object, who = api.demo) =>
          api.call(who, 'PUT', `routers/${router.id}`, { router: body });
        const snat = await put(
          { external_gateway_info: { network_id: network.id, enable_snat: false } },
          api.admin,
        );
        expect(snat.json.router.external_gateway_info.enable_snat).toBe(false);
        expect(snat.json.router.external_gateway_info.external_fixed_ips).toEqual(
          router.external_gateway_info.external_fixed_ips,
        );
        const routes = [{ destination: '198.51.100.0/24', nexthop: '10.40.0.77' }];
        expect((await put({ routes })).json.router.routes).toEqual(routes);
        const removal = () =>
          api.call(api.demo, 'PUT', `routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id });
        expect((await removal()).json.NeutronError.type).toBe('RouterInterfaceInUseByRoute');
        const fewer = await api.call(api.demo, 'PUT', `routers/${router.id}/remove_extraroutes`, {
          router: { routes },
        });
        expect(fewer.json.router.routes).toEqual([]);
        const removed = await removal();
        expect(removed.json).toMatchObject({ id: router.id, subnet_id: subnet.id, subnet_ids: [subnet.id] });
        expect((await put({ external_gateway_info: null })).json.router.external_gateway_info).toBeNull();
        expect((await api.call(api.demo, 'DELETE', `routers/${router.id}`)).status).toBe(204);
      });

      it('an association comes, moves and goes, also with its port or address', async () => {
        const external = (await api.call(api.demo, 'GET', 'networks?router:external=True')).json.networks[0];
        const { network, router } = await api.routed(api.demo, external.id, '10.41.0.0/24');
        const [one, two] = [await api.port(api.demo, network.id), await api.port(api.demo, network.id)];
        const floating = await api.make(api.demo, 'floatingips', 'floatingip', {
          floating_network_id: external.id,
        });
        expect(floating).toMatchObject({
          status: 'DOWN',
          port_id: null,
          router_id: null,
          port_details: null,
        });
        const put = async (body: object) =>
          (await api.call(api.demo, 'PUT', `floatingips/${floating.id}`, { floatingip: body })).json
            .floatingip;
        expect(await put({ port_id: one.id })).toMatchObject({
          status: 'ACTIVE',
          router_id: router.id,
          fixed_ip_address: one.fixed_ips[0].ip_address,
          port_details: { mac_address: one.mac_address, network_id: network.id },
        });
        expect(await put({ description: 'mine' })).toMatchObject({ status: 'ACTIVE', description: 'mine' });
        expect(await put({ port_id: two.id })).toMatchObject({ port_id: two.id });
        // those of the ports, and of DHCP, are drawn from all of the subnet
        const { ports } = (await api.call(api.admin, 'GET', `ports?network_id=${network.id}`)).json;
        const taken = JSON.stringify(ports);
        const free = [200, 201, 202, 203, 204].map((n) => `10.41.0.${n}`).find((ip) => !taken.includes(ip));
        const moved = await api.call(api.demo, 'PUT', `ports/${two.id}`, {
          port: { fixed_ips: [{ ip_address: free }] },
        });
        expect(moved.status, moved.text).toBe(200);
        expect((await get(`floatingips/${floating.id}`)).floatingip).toMatchObject({
          status: 'DOWN',
          port_id: null,
        });
        await put({ port_id: one.id });
        expect((await api.call(api.demo, 'DELETE', `ports/${one.id}`)).status).toBe(204);
        expect((await get(`floatingips/${floating.id}`)).floatingip).toMatchObject({
          status: 'DOWN',
          port_id: null,
        });
        expect((await api.call(api.demo, 'DELETE', `floatingips/${floating.id}`)).status).toBe(204);
      });
    });

    describe('discovery, extensions and quotas', () => {
      it('versions and resources need no token', async () => {
        for (const path of ['/network', '/network/']) {
          const reply = await api.cloud.request('GET', path);
          expect([reply.status, reply.json.versions[0].id]).toEqual([200, 'v2.0']);
        }
        const { resources } = (await api.cloud.request('GET', '/network/v2.0/')).json;
        expect(resources.map((one: { collection: string }) => one.collection)).toContain('security_groups');
      });

      it('extensions are shown one by one; what is not there is 404', async () => {
        const { extensions } = await get('extensions');
        for (const { alias } of extensions)
          expect((await get(`extensions/${alias}`)).extension.alias).toBe(alias);
        const reply = await api.call(api.demo, 'GET', 'extensions/nope');
        expect([reply.status, reply.headers['content-type']]).toEqual([404, 'text/html; charset=UTF-8']);
        expect((await api.call(api.demo, 'GET', 'trunks')).json.NeutronError.type).toBe('HTTPNotFound');
      });

      it('quotas are changed, counted and reset', async () => {
        const id = api.other.projectId;
        await api.network(api.other);
        const put = await api.call(api.admin, 'PUT', `quotas/${id}`, { quota: { network: 1 } });
        expect(put.json.quota).toMatchObject({ network: 1, port: 500 });
        expect((await api.call(api.other, 'POST', 'networks', { network: {} })).json.NeutronError.type).toBe(
          'OverQuota',
        );
        const details = await api.call(api.admin, 'GET', `quotas/${id}/details.json`);
        expect(details.json.quota.network).toEqual({ limit: 1, used: 1, reserved: 0 });
        expect((await api.call(api.admin, 'GET', 'quotas')).json.quotas).toHaveLength(1);
        expect((await api.call(api.demo, 'GET', `quotas/${id}`)).status).toBe(403);
        expect((await api.call(api.demo, 'PUT', `quotas/${id}`, { quota: { network: 9 } })).status).toBe(403);
        expect((await api.call(api.admin, 'PUT', `quotas/${id}`, { quota: { nope: 9 } })).status).toBe(400);
        expect((await api.call(api.admin, 'DELETE', `quotas/${id}`)).status).toBe(204);
        expect((await api.call(api.admin, 'GET', 'quotas')).json.quotas).toEqual([]);
      });

      it('agents are the hosts, for administrators', async () => {
        expect((await get('agents')).agents).toEqual([]);
        expect((await api.call(api.admin, 'GET', 'agents')).json.agents).toEqual([]);
      });
    });
  });
}
