import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hop } from '../../src/core/trace/model.js';
import { lookAtHops } from '../../src/core/trace/run.js';
import type { TraceCheck } from '../../src/protocol/trace.js';
import { TestAgent, TestController, until } from '../support/hosts/harness.js';

const cleanups: (() => Promise<void> | void)[] = [];
let controller: TestController;
let hostId: string;

beforeAll(async () => {
  controller = await TestController.start(cleanups);
  await controller.listen();
  const agent = await TestAgent.create('host1', cleanups);
  hostId = (await agent.join(await controller.token())).host_id;
  await agent.start();
  await until('the host is up', () => controller.hosts.isUp(hostId));
});
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const NET = {
  id: '00000002-0000-4000-8000-000000000002',
  type: 'vxlan',
  physical_network: null,
  segmentation_id: 1001,
} as const;

/** Checks as a controller of another release might send them, and the text of what is found. */
async function found(...checks: unknown[]): Promise<string[]> {
  const hops = checks.map((check): Hop => {
    const judge = { check: check as TraceCheck };
    return { host: { id: hostId, name: 'host1' }, what: '', object: null, judge };
  });
  const answer = await lookAtHops(hops, controller.hosts.trace.bind(controller.hosts), false);
  return answer.map(({ state, detail }) => `${state}: ${detail}`);
}

it('answers what the agent knows of a question of a later release, and says of what it does not know anything', async () => {
  const strange = [
    { kind: 'of-tomorrow', network: NET },
    { kind: 'nat', part: 'mangle', router: {} },
  ];
  expect(await found({ kind: 'shared' }, ...strange, { kind: 'bridge', network: NET })).toEqual([
    'ok: shared',
    "unknown: this agent is older than the controller: it knows no check of kind 'of-tomorrow'",
    "unknown: this agent is of another release than the controller: it does not understand its check of kind 'nat'",
    'ok: bridge',
  ]);
});

it('answers what only controllers of the release before ask', async () => {
  const peer = { kind: 'fdb-peer', network: NET, macs: ['fa:16:3e:00:00:0a'], vtep: '192.0.2.2' };
  expect(await found(peer, { ...peer, vtep: 'nowhere' })).toEqual([
    'ok: fdb-peer',
    expect.stringContaining("does not understand its check of kind 'fdb-peer'"),
  ]);
});

it('refuses what is no question at all', async () => {
  const ask = async (request: unknown) => await controller.hosts.trace(hostId, request as never);
  await expect(ask({ checks: {}, probe: false })).rejects.toThrow('checks must be a list');
  await expect(ask({ checks: [], probe: 'yes' })).rejects.toThrow('probe must be true or false');
  expect((await ask({ checks: [null, 7, {}], probe: false })).findings).toHaveLength(3);
});
