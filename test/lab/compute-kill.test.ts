import { createReadStream } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerObject, Spec } from '../../src/protocol/objects.js';
import { computeAgent } from '../support/compute-agent.js';
import { imageOf, rootDisk, serverObject, specOf, tombstone } from '../support/guests.js';
import { LabHost } from '../support/lab-host.js';
import { mortalHost } from '../support/mortal-host.js';

let host: LabHost;
let image: Awaited<ReturnType<typeof imageOf>>;
beforeAll(async () => {
  host = await LabHost.start();
  const file = `${host.directory}/base.qcow2`;
  await host.run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '16M']);
  image = await imageOf(file, 'qcow2');
});
afterAll(() => host?.stop());

let count = 0;
const stateDir = () => `${host.directory}/state-${++count}`;
const fetchImage = async () => createReadStream(`${host.directory}/base.qcow2`);

function guest(): ServerObject {
  return serverObject({
    memory_mb: 64,
    disks: [rootDisk(image.image, 32 << 20)],
  });
}

/** Applies with an agent that dies at its change `dieAt`; the number of changes if it lived. */
async function applyAndDie(spec: Spec, state: string, dieAt: number, moment: 'before' | 'after') {
  const mortal = mortalHost(host, dieAt, moment);
  const agent = computeAgent(mortal.host, state, fetchImage);
  await agent.apply(spec).catch(() => {});
  await agent.close();
  return mortal;
}

/** Runs `scenario` with a death at each change, until an agent survives it. */
async function atEachChange(
  scenario: (
    dieAt: number,
    moment: 'before' | 'after',
  ) => Promise<{ isDead(): boolean; changes: readonly string[] }>,
) {
  for (let dieAt = 1; ; dieAt++) {
    const before = await scenario(dieAt, 'before');
    if (!before.isDead()) return before.changes;
    await scenario(dieAt, 'after');
    if (dieAt > 40) throw new Error('an agent that needs more than 40 changes');
  }
}

describe('an agent that is killed at any of its changes', () => {
  test('during a creation, is followed by one that ends with one running guest, and no data is wiped', async () => {
    const changes = await atEachChange(async (dieAt, moment) => {
      const state = stateDir();
      const server = guest();
      const spec = specOf(server);
      const mortal = await applyAndDie(spec, state, dieAt, moment);
      const disk = `${state}/servers/${server.id}/root.qcow2`;
      const made = await host.stat(disk);

      const next = computeAgent(host, state, fetchImage);
      const [report] = await next.apply(spec);
      expect(report, mortal.changes.join('\n')).toMatchObject({
        state: 'applied',
        observed: { power_state: 'running' },
      });
      expect(await host.pids(`guest=${server.instance_name}`)).toHaveLength(1);
      if (made) expect((await host.stat(disk))?.ino).toBe(made.ino);
      host.runs = [];
      await next.apply(spec);
      expect(await next.plan(spec)).toEqual([]);
      expect(host.runs).toEqual([]);
      await next.apply(tombstone(server));
      await next.close();
      expect(await host.listDirectory(`${state}/servers`)).toEqual([]);
      expect((await host.listDirectory(`${state}/images`)).filter((name) => name.endsWith('.part'))).toEqual(
        [],
      );
      return mortal;
    });
    expect(changes.length).toBeGreaterThan(8);
  }, 900_000);

  test('during a hard reboot, is followed by one that has restarted the guest at the end', async () => {
    await atEachChange(async (dieAt, moment) => {
      const state = stateDir();
      const server = guest();
      const first = computeAgent(host, state, fetchImage);
      await first.apply(specOf(server));
      await first.close();
      const before = await host.pids(`guest=${server.instance_name}`);
      const spec = specOf({ ...server, reboot: { soft: 0, hard: 1 } });
      const mortal = await applyAndDie(spec, state, dieAt, moment);
      const next = computeAgent(host, state, fetchImage);
      expect(await next.apply(spec)).toMatchObject([
        { state: 'applied', observed: { power_state: 'running' } },
      ]);
      const after = await host.pids(`guest=${server.instance_name}`);
      expect(after).toHaveLength(1);
      expect(after).not.toEqual(before);
      await next.apply(spec);
      expect(await host.pids(`guest=${server.instance_name}`)).toEqual(after);
      await next.apply(tombstone(server));
      await next.close();
      return mortal;
    });
  }, 900_000);

  test('during a deletion, is followed by one that leaves nothing', async () => {
    await atEachChange(async (dieAt, moment) => {
      const state = stateDir();
      const server = guest();
      const first = computeAgent(host, state, fetchImage);
      await first.apply(specOf(server));
      await first.close();
      const mortal = await applyAndDie(tombstone(server), state, dieAt, moment);
      const next = computeAgent(host, state, fetchImage);
      expect(await next.apply(tombstone(server))).toMatchObject([{ state: 'gone' }]);
      await next.close();
      expect(await host.pids('guest=')).toEqual([]);
      expect((await host.read('virsh', ['list', '--all', '--name'])).stdout.trim()).toBe('');
      expect(await host.listDirectory(`${state}/servers`)).toEqual([]);
      return mortal;
    });
  }, 900_000);
});
