import { afterAll, beforeAll, expect, it } from 'vitest';
import { ProviderNetworks } from '../../agents/provider-networks.js';
import { NetworkLab } from './network-lab.js';

/** What an agent tells of the bridges of its provider networks, on a host of namespaces. */
let lab: NetworkLab;

beforeAll(async () => {
  lab = await NetworkLab.up();
});
afterAll(() => lab?.down());

const mapping = { extnet: 'br-ex', dmz: 'br-dmz' };
const ip = (...args: string[]) => lab.host.machine.exec('ip', args);
const nothing = { addresses: [], gateways: [], neighbours: [] };
const DMZ = { name: 'dmz', bridge: 'br-dmz', present: false, unknown: true, ...nothing };

it('tells which bridges are there, the host’s addresses, gateways, and who was met', async () => {
  const networks = new ProviderNetworks(lab.host, mapping, 0);
  expect(await networks.look()).toEqual([
    { name: 'extnet', bridge: 'br-ex', present: true, ...nothing },
    DMZ,
  ]);

  await ip('address', 'add', '203.0.113.7/24', 'dev', 'br-ex');
  await ip('-6', 'address', 'add', '2001:db8:7::7/64', 'dev', 'br-ex', 'nodad');
  await ip('route', 'add', 'default', 'via', '203.0.113.1', 'dev', 'br-ex');
  await ip('-6', 'route', 'add', 'default', 'via', '2001:db8:7::1', 'dev', 'br-ex');
  // a router of this cloud, and an address that nobody answers for
  await ip('neigh', 'replace', '203.0.113.99', 'lladdr', 'fa:16:3e:00:00:01', 'dev', 'br-ex');
  await lab.host.machine.exec('ping', ['-c', '1', '-W', '10', '203.0.113.1']);
  const [extnet] = await networks.look();
  expect(extnet).toEqual({
    name: 'extnet',
    bridge: 'br-ex',
    present: true,
    addresses: ['2001:db8:7::7', '203.0.113.7'],
    gateways: ['2001:db8:7::1', '203.0.113.1'],
    neighbours: ['203.0.113.1'],
  });
});

it('neighbours are asked for now and then only, so that one who comes is not news', async () => {
  const networks = new ProviderNetworks(lab.host, mapping, 60_000);
  const before = await networks.look();
  await ip('neigh', 'replace', '203.0.113.50', 'lladdr', '02:00:00:00:00:50', 'dev', 'br-ex');
  expect(await networks.look()).toEqual(before);
  expect((await new ProviderNetworks(lab.host, mapping).look())[0]?.neighbours).toContain('203.0.113.50');
});

it('a bridge that is made again is not gone, one that stays away is, and one that comes is offered', async () => {
  const networks = new ProviderNetworks(lab.host, mapping, 0, 0);
  const present = async () => (await networks.look()).map((network) => network.present);
  expect(await present()).toEqual([true, false]);
  await ip('link', 'del', 'br-ex');
  expect(await present()).toEqual([true, false]);
  expect(await present()).toEqual([false, false]);
  await ip('link', 'add', 'br-dmz', 'type', 'bridge');
  // a device of this name that is no bridge carries nothing
  await ip('link', 'add', 'br-ex', 'type', 'veth', 'peer', 'name', 'other');
  expect(await present()).toEqual([false, true]);
});
