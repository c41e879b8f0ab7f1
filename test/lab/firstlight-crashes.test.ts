import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectInventory, type Inventory, inventory } from '../support/inventory.js';
import { Lab, type ProgramFacts, until } from '../support/lab.js';
import { machine } from '../support/machine.js';
import { Scene } from '../support/scene.js';

/**
 * `kill -9` of controller and agent while servers are made and deleted: what was asked for comes about all the same. Every step is met by
 * test/fault and compute-kill; here are some moments with everything real.
 */
const HOST = 'host1';
const MINUTES = 60_000;

let lab: Lab;
let scene: Scene;
let untouched: Inventory;
let before: Inventory;

beforeAll(async () => {
  lab = await Lab.open();
  untouched = await inventory(lab, HOST);
  scene = await Scene.create(lab, 'crash');
  await scene.settled(HOST);
}, 25 * MINUTES);

afterAll(async () => {
  await scene?.remove();
  await expectInventory(lab, HOST, untouched);
}, 8 * MINUTES);

beforeEach(async () => {
  before = await inventory(lab, HOST);
}, 3 * MINUTES);

afterEach(async () => {
  await scene.deleteServers();
  await expectInventory(lab, HOST, before);
}, 8 * MINUTES);

describe.each(['controller', 'agent'] as const)('kill -9 of the %s', (victim) => {
  it.each([50, 800])(
    'during a creation, %i ms after it was asked for',
    async (delay) => {
      // with the controller goes the answer to a client that is just asking, but not what was asked for
      const asked = scene.startServer(`crash-${delay}`).catch(() => null);
      // the command itself takes about two seconds; what counts is when the request arrived
      await until('the request', 120, serverCount, (count) => count > 0);
      await pause(delay);
      await killAndAwaitRestart(victim);
      const id = (await asked) ?? (await scene.find(`crash-${delay}`));
      await until(
        'ACTIVE',
        240,
        () => scene.statusOf(id),
        (status) => status === 'ACTIVE',
      );
      await until(
        'its domain',
        90,
        () => lab.onHost(HOST, 'virsh', 'list', '--uuid'),
        (uuids) => uuids.includes(id),
      );
    },
    10 * MINUTES,
  );

  it.each([100])(
    'during a deletion, %i ms after it was asked for',
    async (delay) => {
      const id = await scene.server(`crash-${delay}`);
      await lab.openstackText('demo', 'server', 'delete', id);
      await pause(delay);
      await killAndAwaitRestart(victim);
      await until('the end of the server', 120, serverCount, (count) => count === 0);
      const gone = (uuids: string) => !uuids.includes(id);
      await until(
        'the end of its domain',
        120,
        () => lab.onHost(HOST, 'virsh', 'list', '--all', '--uuid'),
        gone,
      );
    },
    10 * MINUTES,
  );
});

/** Servers of whatever status that the controller knows. */
async function serverCount(): Promise<number> {
  const { counts } = JSON.parse(await lab.maru(['status', '--json'], [0, 1])) as {
    counts: Record<string, number>;
  };
  return Object.entries(counts).reduce(
    (sum, [what, count]) => (what.startsWith('servers ') ? sum + count : sum),
    0,
  );
}

async function killAndAwaitRestart(victim: 'controller' | 'agent'): Promise<void> {
  const program = async (): Promise<ProgramFacts | null> => {
    const status = await lab.status();
    return victim === 'controller' ? status.controller : (status.hosts[0]?.agent ?? null);
  };
  const old = await program();
  expect(old?.pid).toBeGreaterThan(1);
  machine.kill(old!.pid!, 'SIGKILL');
  await until(`restart of the ${victim}`, 90, program, (now) => !!now?.pid && now.pid !== old!.pid);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
