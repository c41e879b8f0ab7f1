import { GiveUp, waitFor } from '../lab/commands.js';
import { create, type Named } from '../lab/resources.js';
import type { BenchLab } from './bench-lab.js';
import { requestsPerSecond } from './load.js';
import { atLeast, type Result, told } from './results.js';
import { withSimulatedHosts } from './simulated-hosts.js';

const CLIENTS = 8;
const SECONDS = 5;
const SIMULATED_HOSTS = 4;
const PER_REQUEST = 50;

/** servers/detail per second with 100 and with 1,000 servers, which live on simulated hosts. */
export async function benchLists(bench: BenchLab, runs: number): Promise<Result[]> {
  return await withSimulatedHosts(bench, SIMULATED_HOSTS, async () => {
    await bench.admin.call('maru', 'POST', '/hosts/host1/disable', {
      reason: 'servers of the benchmark go elsewhere',
    });
    const network = await wideNetwork(bench);
    const flavor = await create(bench.admin, 'flavor', { name: 'bench-list', vcpus: 1, ram: 16, disk: 0 });
    const rounds = Math.min(runs, 3);
    const results: Result[] = [];
    for (const count of [100, 1000]) {
      await serversUpTo(bench, count, flavor, network);
      const rates: number[] = [];
      for (let round = 0; round < rounds; round++) rates.push(await rate(bench));
      const name = `servers/detail with ${count} servers, 8 clients`;
      results.push(
        count === 100 ? atLeast(name, '/s', rates, 600, { openstack: 6 }) : told(name, '/s', rates),
      );
    }
    return results;
  });
}

async function rate(bench: BenchLab): Promise<number> {
  const token = await tokenOf(bench);
  const url = `${bench.endpoint}/compute/v2.1/servers/detail`;
  return await requestsPerSecond({
    url,
    headers: { 'x-auth-token': token },
    connections: CLIENTS,
    seconds: SECONDS,
  });
}

async function wideNetwork(bench: BenchLab): Promise<Named> {
  const network = await create(bench.demo, 'network', { name: 'bench-wide' });
  await create(bench.demo, 'subnet', { network_id: network.id, ip_version: 4, cidr: '10.64.0.0/16' });
  return network;
}

/** Makes servers until there are `count`, and waits until all are ACTIVE. */
async function serversUpTo(bench: BenchLab, count: number, flavor: Named, network: Named): Promise<void> {
  const { demo } = bench;
  for (let have = (await statuses(bench)).length; have < count; have += PER_REQUEST) {
    const number = Math.min(PER_REQUEST, count - have);
    await create(demo, 'server', {
      name: `bench-list-${have}`,
      imageRef: bench.image.id,
      flavorRef: flavor.id,
      networks: [{ uuid: network.id }],
      min_count: number,
      max_count: number,
    });
  }
  await waitFor(
    `${count} servers to become ACTIVE`,
    300_000,
    async () => {
      const all = await statuses(bench);
      const broken = all.find((status) => status === 'ERROR');
      if (broken) throw new GiveUp('a server is in ERROR: maru status says why');
      return all.length === count && all.every((status) => status === 'ACTIVE');
    },
    1000,
  );
}

async function statuses(bench: BenchLab): Promise<string[]> {
  const body = await bench.demo.call<{ servers: { status: string }[] }>(
    'compute',
    'GET',
    '/servers/detail?limit=1000',
  );
  return body.servers.map((server) => server.status);
}

async function tokenOf(bench: BenchLab): Promise<string> {
  await bench.demo.authenticate();
  return bench.demo.token;
}
