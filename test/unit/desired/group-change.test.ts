import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { StatementCounter } from '../../../scripts/benchmarks/fleet/profile.js';
import { updatePort } from '../../../src/core/port/port.js';
import { createGroup, createRule } from '../../../src/core/security-group/security-group.js';
import { networkKinds } from '../../../src/desired/network-kinds.js';
import { dirtyHosts } from '../../../src/hosts/dirty.js';
import { computeSpecs } from '../../../src/hosts/spec.js';
import { listChanges } from '../../../src/store/changes.js';
import { listRows } from '../../../src/store/network/list.js';
import { Store } from '../../../src/store/store.js';
import { NetworkCore } from '../../support/network-core.js';

/** What a change of a group's members costs, counted in what is worked out and asked for, not in time. */

const counter = new StatementCounter();
const statements = () => [...counter.uses.values()].reduce((sum, use) => sum + use.count, 0);

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

it('hosts of a group that a port leaves look at its members alone', async () => {
  const { hosts, dirty } = await changeOfMember(12);
  const others = hosts.slice(1).map((host) => [...(dirty.get(host)?.kinds ?? [])]);
  expect(others).toEqual(others.map(() => ['group-members']));
});

it('a change of a group takes as many queries for many hosts as for few', async () => {
  const few = await changeOfMember(3);
  const many = await changeOfMember(30);
  expect(many.dirty.size).toBe(30);
  expect(few.queries).toBeGreaterThan(0);
  expect(many.queries).toBe(few.queries);
});

/** Takes the first of `count` guests, each on a host of its own, out of their group, and works out what hosts have then. */
async function changeOfMember(count: number) {
  const directory = mkdtempSync(join(tmpdir(), 'maru-group-change-'));
  const store = await Store.open(`sqlite:${directory}/maru.db`);
  const core = new NetworkCore(store);
  cleanups.push(async () => {
    core.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const hosts = await Promise.all(Array.from({ length: count }, (_, i) => core.host(`host-${i}`)));
  await store.tx(async (tx) => {
    const network = await core.network(tx);
    await core.subnet(tx, network.id, '10.100.0.0/24');
    const text = { project_id: 'project', description: '' };
    const group = await createGroup(tx, core.app, core.ctx, { ...text, name: 'g', stateful: true });
    await createRule(tx, core.app, core.ctx, {
      ...text,
      security_group_id: group.id,
      direction: 'ingress',
      ethertype: 'IPv4',
      protocol: null,
      port_range_min: null,
      port_range_max: null,
      remote_ip_prefix: null,
      remote_group_id: group.id,
    });
    for (const host of hosts) await core.server(tx, [{ network: network.id }], host, [group.id]);
  });
  const before = new Set((await listChanges(store.read, 100_000)).map(({ seq }) => seq));
  const binding_host = `name-of-${hosts[0]}`;
  await store.tx(async (tx) => {
    const [port] = await listRows(tx, 'port', { visibleTo: null, filters: { binding_host: [binding_host] } });
    await updatePort(tx, core.app, core.ctx, port!, { security_groups: [] });
  });
  const changes = (await listChanges(store.read, 100_000))
    .filter(({ seq }) => !before.has(seq))
    .map((change) => ({ ...change, requestIds: new Set<string>() }));
  const asked = statements();
  const dirty = await dirtyHosts(
    store.read,
    networkKinds,
    changes,
    () => [],
    (_kind, _change, error) => {
      throw error;
    },
  );
  const wanted = new Map([...dirty].map(([host, { kinds }]) => [host, kinds]));
  await computeSpecs(store.read, networkKinds, wanted);
  return { hosts, dirty, queries: statements() - asked };
}
