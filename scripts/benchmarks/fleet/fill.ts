import { pause } from '../../lab/commands.js';
import { type FleetBench, patience, say } from './bench.js';
import { monotonicMs } from './clock.js';
import { createServers, type Tenant } from './layout.js';
import { Load } from './limits.js';
import { outOfMemory } from './memory.js';
import { figure, spread } from './percentile.js';

const STAGES = 5;
/** Servers made one by one, and measured, at the end of each stage; the others come several to a request. */
const MEASURED_PER_STAGE = 100;
const PER_REQUEST = 20;
const CLIENTS = 2;
/** Requests after which memory is looked at. */
const REQUESTS_PER_LOOK = 25;
const SETTLE_MS = 300_000;

/** A server of the fleet that was made by a request of its own. */
export interface KnownServer {
  readonly id: string;
  readonly tenant: Tenant;
}

/**
 * Makes servers through the API until there are as many as wanted or the time is over, and measures requests for one server, and
 * the scheduler's part of them, at each fifth. Gives those that were made one by one.
 */
export async function measureFill(bench: FleetBench): Promise<KnownServer[]> {
  const { controller, layout, servers, results } = bench;
  const known: KnownServer[] = [];
  let made = 0;
  let asked = 0;
  const next = () => layout.tenants[asked++ % layout.tenants.length]!;
  for (let stage = 1; stage <= STAGES; stage++) {
    const target = Math.round((servers * stage) / STAGES);
    const single = Math.min(MEASURED_PER_STAGE, Math.ceil((target - made) / 2));
    const load = await Load.begin(bench);
    const batched = target - single - made;
    const began = performance.now();
    const before = made;
    let full: string | null = null;
    await atOnce(bench, Math.ceil(batched / PER_REQUEST), async (i) => {
      if (i % REQUESTS_PER_LOOK === 0) full ??= await outOfMemory(bench);
      if (full !== null) return;
      const count = Math.min(PER_REQUEST, batched - i * PER_REQUEST);
      await createServers(layout, next(), `fill-${stage}-${i}`, count);
      made += count;
    });
    const seconds = (performance.now() - began) / 1000;
    const rateOfFill = (made - before) / seconds;
    if (seconds > 1)
      results.push(figure(`servers made up to ${made}, ${PER_REQUEST} to a request`, rateOfFill, '/s'));
    const settled = await settle(bench);
    if (settled === null)
      bench.remarks.push(
        `at ${made} servers the hosts had not caught up after ${SETTLE_MS / 1000} s, or the time was over`,
      );
    else results.push(figure(`until the hosts had caught up with them`, settled, 's'));
    const limit = await load.end(`filling up to ${made}`);

    await controller.figures();
    const latencies: number[] = [];
    await atOnce(bench, single, async (i) => {
      const tenant = next();
      const sent = monotonicMs();
      const id = await createServers(layout, tenant, `one-${stage}-${i}`);
      latencies.push(monotonicMs() - sent);
      known.push({ id, tenant });
      made++;
    });
    const figures = await controller.figures();
    results.push(
      ...spread(`${made} servers: POST /servers`, 'ms', latencies, { most: 50 }),
      ...spread(`${made} servers: its transaction`, 'ms', figures.placingTransactionMs),
      ...spread(`${made} servers: placement in it`, 'ms', figures.placementMs, { most: 50 }),
      ...spread(`${made} servers: waiting for the write lock`, 'ms', figures.waitMs),
    );
    say(`${made} servers`);
    if (made < target) {
      const rate = `the time was over, at ${rateOfFill.toFixed(1)} servers/s (${limit ?? 'nothing was watched'})`;
      bench.remarks.push(`limit of servers: ${made} of ${servers}; ${full ?? rate}`);
      break;
    }
  }
  await settle(bench);
  const errors = await countIn(bench, 'ERROR');
  if (errors) bench.remarks.push(`${errors} of the first 1000 listed servers in ERROR`);
  return known;
}

/** Waits until no server is being built; seconds that took, or null when it did not end in time. */
export async function settle(bench: FleetBench): Promise<number | null> {
  const began = performance.now();
  const until = began + patience(bench, SETTLE_MS, 5000);
  while (performance.now() < until) {
    if ((await countIn(bench, 'BUILD', 1)) === 0) return (performance.now() - began) / 1000;
    await pause(200);
  }
  return null;
}

async function countIn(bench: FleetBench, status: string, limit = 1000): Promise<number> {
  const { admin } = bench.layout;
  const path = `/servers?all_tenants=1&status=${status}&limit=${limit}`;
  return (await admin.call<{ servers: unknown[] }>('compute', 'GET', path)).servers.length;
}

/** Does `count` things, a few at once, until the time is over. */
async function atOnce(bench: FleetBench, count: number, one: (i: number) => Promise<void>): Promise<void> {
  let i = 0;
  const worker = async () => {
    while (i < count && performance.now() < bench.deadline) await one(i++);
  };
  await Promise.all(Array.from({ length: CLIENTS }, worker));
}
