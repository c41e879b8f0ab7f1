import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Moment } from '../support/hosts/fate.js';
import { FaultCloud } from '../support/hosts/fault-cloud.js';
import { FaultScene } from '../support/hosts/fault-scene.js';
import { expectSound, unsettled } from '../support/hosts/invariants.js';

/** Something that is done and undone, so that it can be repeated with the agent dying one change later each time. */
interface Workflow {
  readonly name: string;
  /** Brings about what both halves need. */
  readonly prepare?: () => Promise<void>;
  readonly halves: readonly (() => Promise<void>)[];
  /** How often the guest is started by each half. */
  readonly starts: readonly number[];
}

/**
 * The agent is killed at every change that it makes, before it and after it, in every workflow that reaches hosts; the next agent on that
 * machine has to bring it about, once.
 */
describe('an agent killed at each of its changes', () => {
  let cloud: FaultCloud;
  let scene: FaultScene;
  let server = '';
  let port = '';
  let floatingIp = '';
  let rule = '';
  let volume = '';
  let subnet = '';
  let starts = 0;

  beforeAll(async () => {
    cloud = await FaultCloud.start({ hosts: ['host1'] });
    scene = await FaultScene.open(cloud);
    cloud.machines.get('host1')?.listeners.add((line) => {
      if (line.includes('Started Booted')) starts++;
    });
  }, 60_000);
  afterAll(() => cloud?.close());

  const standing = async () => {
    server = await scene.server();
    await expectSound(cloud, 'a server before the faults');
    port = await scene.tenant.portOf(server);
  };
  const without = async () => {
    await scene.tenant.delete('server', server);
    await expectSound(cloud, 'no server after the faults');
  };
  const action = (body: object) => async () => await scene.tenant.act(server, body);

  const workflows: Workflow[] = [
    {
      name: 'create and delete a server',
      halves: [
        async () => {
          server = await scene.server({ config_drive: true });
        },
        () => scene.tenant.delete('server', server),
      ],
      starts: [1, 0],
    },
    {
      name: 'stop and start',
      prepare: standing,
      halves: [action({ 'os-stop': null }), action({ 'os-start': null })],
      starts: [0, 1],
    },
    {
      name: 'reboot',
      halves: [action({ reboot: { type: 'SOFT' } }), action({ reboot: { type: 'HARD' } })],
      starts: [1, 1],
    },
    {
      name: 'security group rules',
      halves: [
        async () => {
          const attributes = { security_group_id: scene.groupId, direction: 'ingress', protocol: 'tcp' };
          rule = await scene.tenant.create('security_group_rule', {
            ...attributes,
            port_range_min: 22,
            port_range_max: 22,
            remote_group_id: scene.groupId,
          });
        },
        () => scene.tenant.delete('security_group_rule', rule),
      ],
      starts: [0, 0],
    },
    {
      name: 'ports',
      halves: [
        async () => {
          await scene.tenant.insist('PUT', `/network/v2.0/ports/${port}`, {
            port: { allowed_address_pairs: [{ ip_address: '10.0.0.250' }], security_groups: [] },
          });
        },
        async () => {
          await scene.tenant.insist('PUT', `/network/v2.0/ports/${port}`, {
            port: { allowed_address_pairs: [], security_groups: [scene.groupId] },
          });
        },
      ],
      starts: [0, 0],
    },
    {
      name: 'floating IPs',
      prepare: async () => {
        floatingIp = await scene.tenant.create('floatingip', { floating_network_id: scene.externalId });
      },
      halves: [() => scene.tenant.attach(floatingIp, port), () => scene.tenant.attach(floatingIp, null)],
      starts: [0, 0],
    },
    {
      name: 'router interfaces',
      prepare: async () => {
        const network = await scene.tenant.create('network', {});
        subnet = await scene.tenant.create('subnet', {
          network_id: network,
          ip_version: 4,
          cidr: '10.1.0.0/24',
        });
      },
      halves: [() => scene.interface('add', subnet), () => scene.interface('remove', subnet)],
      starts: [0, 0],
    },
    {
      name: 'volumes',
      prepare: without,
      halves: [
        async () => {
          volume = await scene.tenant.create('volume', { size: 1 });
        },
        () => scene.tenant.delete('volume', volume),
      ],
      starts: [0, 0],
    },
  ];

  /** True when the agent lived to the end: then there are fewer changes than that. */
  const survives = async (
    change: number,
    moment: Moment,
    half: () => Promise<void>,
    expectedStarts: number,
  ) => {
    const before = starts;
    const fate = cloud.killAgentAt('host1', change, moment);
    await half();

    await cloud.waitFor('death, or an end', async () => (fate.dead ? [] : await unsettled(cloud)));
    const what = fate.dead ? `killed ${fate.last}` : `not killed, ${fate.changes.length} changes`;
    if (fate.dead) {
      await cloud.stopAgent('host1');
      await cloud.startAgent('host1');
    }
    cloud.killAgentAt('host1', Number.POSITIVE_INFINITY, moment);
    await expectSound(cloud, what);
    expect(starts - before, what).toBe(expectedStarts);
    return !fate.dead;
  };

  it.each(workflows)(
    '$name',
    async ({ prepare, halves, starts: expected }) => {
      // an earlier test that failed may have left it dead
      if (cloud.agents.get('host1')?.fate.dead) await cloud.stopAgent('host1');
      if (!cloud.agents.has('host1')) await cloud.startAgent('host1');
      await prepare?.();
      if (prepare) await expectSound(cloud, 'prepared');
      let kills = 0;
      for (const moment of ['before', 'after'] as const) {
        for (let change = 1, alive = false; !alive; change++) {
          alive = true;
          for (const [n, half] of halves.entries()) {
            if (await survives(change, moment, half, expected[n] ?? 0)) continue;
            alive = false;
            kills++;
          }
        }
      }
      expect(kills).toBeGreaterThan(0);
      expect(await scene.tenant.lost()).toEqual([]);
    },
    120_000,
  );
});
