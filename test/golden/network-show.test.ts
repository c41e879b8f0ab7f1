import { afterEach, beforeEach, expect, it } from 'vitest';
import { printNetwork } from '../../src/cli/network-show.js';
import { MaruError } from '../../src/core/errors.js';
import { networkObjects } from '../../src/core/trace/network-objects.js';
import { lookAtHops } from '../../src/core/trace/run.js';
import type { NetworkView } from '../../src/core/trace/show.js';
import type { TraceCheck, TraceRequest } from '../../src/protocol/trace.js';
import { group, id, ids, mac, port, router, SpecBuilder, vxlan } from '../lab/network-spec.js';
import { Terminal } from '../support/terminal.js';

const [NET, EXT, ROUTER, QR, QG, GROUP, DHCP] = ids([1, 2, 3, 4, 5, 6, 7]);
const GUESTS = 10;
const names = (hosts: number) => Array.from({ length: hosts }, (_, n) => `host${n + 1}`);
const vtep = (n: number) => `192.0.2.${n + 1}`;
const guest = (host: number, n: number) => 0x1000 + host * GUESTS + n;

/** A network with ten guests on each of so many hosts, as what is asked of them and how they answer; on the first its router. */
async function look(hosts: number): Promise<{ view: NetworkView; bytes: number; lines: number }> {
  let bytes = 0;
  const shown: NetworkView['hosts'][number][] = [];
  for (const [at, name] of names(hosts).entries()) {
    const spec = new SpecBuilder();
    const others = Array.from({ length: hosts }, (_, n) => n).filter((n) => n !== at);
    spec.put('network', NET, {
      ...vxlan(NET, 1001),
      peers: others.map(vtep),
      remote_ports: others.flatMap((n) =>
        Array.from({ length: GUESTS }, (_, k) => ({ mac: mac(guest(n, k)), vtep: vtep(n) })),
      ),
    });
    spec.put('dhcp', NET, {
      network_id: NET,
      port_id: DHCP,
      mac: mac(2),
      addresses: ['10.0.0.2/16'],
      mtu: 1450,
      dns_domain: '',
      subnets: [],
      reservations: [],
    });
    spec.put('security-group', GROUP, group(GROUP, []));
    if (at === 0)
      spec.put('router', ROUTER, router(ROUTER, { qg: QG, network: EXT }, { qr: QR, network: NET }));
    for (let n = 0; n < GUESTS; n++) {
      const number = guest(at, n);
      spec.put('port', id(number), port(id(number), NET, mac(number), [address(number)], [GROUP]));
    }
    const ask = async (host: string, request: TraceRequest) => {
      bytes += JSON.stringify(request).length;
      if (host === 'host9')
        throw new MaruError('unavailable', 'Host host9 does not answer: refused', { cause: 1 });
      return { findings: request.checks.map((check) => finding(host, check)) };
    };
    const host = { id: name, name, underlay_ip: vtep(at), spec: spec.spec };
    const objects = await lookAtHops(networkObjects(host, NET), ask, false);
    const late = { object: `network/${NET}`, state: 'applied', current: false, error: null };
    shown.push({
      host: name,
      state: name === 'host9' ? 'down' : 'up',
      objects,
      reports: name === 'host9' ? [{ ...late, reported_at: '2030-01-01T00:00:00.000Z' }] : [],
    });
  }
  const ports = names(hosts).flatMap((host, at) =>
    Array.from({ length: GUESTS }, (_, n) => ({
      id: id(guest(at, n)),
      owner: 'compute:nova',
      device_id: 'server',
      mac: mac(guest(at, n)),
      addresses: [address(guest(at, n))],
      host,
      status: host === 'host9' ? 'DOWN' : 'ACTIVE',
    })),
  );
  const view: NetworkView = {
    id: NET,
    name: 'private',
    project_id: 'demo',
    type: 'vxlan',
    physical_network: null,
    segmentation_id: 1001,
    mtu: 1450,
    external: false,
    subnets: [{ id: id(8), cidr: '10.0.0.0/16', gateway_ip: '10.0.0.1', enable_dhcp: true }],
    ports,
    hosts: shown,
  };
  return { view, bytes, lines: print(view, false).split('\n').length };
}

function address(number: number): string {
  return `10.0.${number >> 8}.${number & 255}`;
}

/** What two of the hosts have wrong. */
function finding(host: string, check: TraceCheck) {
  if (host === 'host17' && check.kind === 'fdb-table') {
    const detail = 'vxlan-1001 has no entry for fa:16:3e:00:10:0a; 9 more of 1089 entries are wrong';
    return { state: 'fail' as const, detail };
  }
  if (host === 'host42' && check.kind === 'plug' && check.port_id === id(guest(41, 3)))
    return { state: 'fail' as const, detail: 'the tap is down' };
  return { state: 'ok' as const, detail: 'as it should be' };
}

let terminal: Terminal;
beforeEach(() => {
  terminal = Terminal.open();
});
afterEach(() => terminal.close());

function print(view: NetworkView, inFull: boolean): string {
  terminal.written = '';
  printNetwork(view, inFull);
  return terminal.written.replaceAll(/\(reported [^)]* ago\)/g, '(reported … ago)');
}

it('a network of 100 hosts is shown on one page, with what is not as it should be', async () => {
  const { view } = await look(100);
  await expect(print(view, false)).toMatchFileSnapshot('trace/show-100-hosts.txt');
});

it('one host, or all, are shown in full', async () => {
  const { view } = await look(6);
  const one = { ...view, hosts: view.hosts.slice(0, 1), ports: view.ports.slice(0, GUESTS) };
  await expect(print(one, true)).toMatchFileSnapshot('trace/show-one-host.txt');
  const all = print(view, true);
  for (const { host } of view.hosts) expect(all).toContain(`On host ${host} (up):`);
  for (const { id: portId } of view.ports) expect(all).toContain(portId);
});

it('what is asked grows with the hosts and not with their square, and the page does not', async () => {
  const [some, many] = [await look(50), await look(100)];
  expect(many.bytes / some.bytes).toBeLessThan(2.1);
  // the same lines: what is wrong is wrong on three of them
  expect(many.lines).toBe(some.lines);
});
