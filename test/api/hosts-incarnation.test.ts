import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RealHost } from '../../agents/host/real.js';
import { renew } from '../../agents/transport/identity.js';
import { PeerClient } from '../../src/protocol/peer-client.js';
import { findHost, updateHost } from '../../src/store/hosts.js';
import { findIncarnation, readIncarnation, replaceIncarnation } from '../../src/store/incarnation.js';
import { recordChange } from '../../src/store/store.js';
import { MemoryPart, TestAgent, TestController, until } from '../support/hosts/harness.js';

const server = (name: string) => ({ instance_name: name, disks: [], nics: [] });

/** What a restored database is found out by; test/fault/restored-backup.test.ts restores one. */
describe('a database that is older than what its hosts have', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;
  let agent: TestAgent;
  let hostId: string;
  let compute: MemoryPart;

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
    agent = await TestAgent.create('host1', cleanups);
    hostId = (await agent.join(await controller.token())).host_id;
    compute = new MemoryPart('compute', ['server']);
    await agent.start({ compute });
    await until('up', () => controller.hosts.isUp(hostId));
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const row = async () => (await findHost(controller.store.read, hostId))!;
  const current = () => readIncarnation(controller.store.read);
  const specOf = async ({ config }: TestAgent) =>
    JSON.parse(await readFile(`${config.state_dir}/spec.json`, 'utf8').catch(() => '{}'));
  const held = () => specOf(agent);
  const settled = async () =>
    until('it holds the incarnation in force', async () => (await held()).incarnation === (await current()));
  /** Takes the counter of changes back, as a restored backup would. */
  const forgetChanges = (seq: number) =>
    controller.store.tx(async (tx) => {
      await tx.deleteFrom('change').where('seq', '>', seq).execute();
      await tx
        .updateTable('sqlite_sequence' as never)
        .set({ seq } as never)
        .where('name' as never, '=', 'change' as never)
        .execute();
    });
  /** The number of the last change; read with one that nobody can have handled and deleted yet. */
  const counter = () =>
    controller.store.tx(async (tx) => {
      await recordChange(tx, 'host', 'nobody');
      const rows = await tx.selectFrom('change').select('seq').execute();
      return Math.max(...rows.map(({ seq }) => seq));
    });

  it('is refused by the host before it can do any harm, and makes one new incarnation', async () => {
    await settled();
    await controller.objects.set(hostId, 'server', 'old', server('old'));
    await until('applied', () => compute.present.has('server/old'));
    const backup = await counter();
    const before = await current();
    await controller.objects.set(hostId, 'server', 'new', server('new'));
    await until('applied', () => compute.present.has('server/new'));
    await controller.objects.remove('server', 'old');
    await until('taken', async () => !('server/old' in (await held()).spec));
    await controller.hosts.close();
    await forgetChanges(backup);
    await controller.objects.remove('server', 'new');
    await controller.objects.set(hostId, 'server', 'old', server('changed'));
    await forgetChanges(backup);
    await controller.restart();
    await until('observing', async () => (await held()).settings.observe_only === true);
    const after = await findIncarnation(controller.store.read);
    expect(after.id).not.toBe(before);
    expect(after.reason).toMatch(/older than what host host1 has.*as of change/);
    await settled();
    expect(await row()).toMatchObject({ observe_only: 1 });
    // once: the next heartbeats find nothing new
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await current()).toBe(after.id);
  });

  it('is found out by the number of a specification that was never reserved', async () => {
    await settled();
    await controller.hosts.close();
    await controller.store.tx((tx) => updateHost(tx, hostId, { sequence: 5000 }));
    await controller.restart();
    await until('a number beyond the first block', async () => (await held()).sequence > 5000);
    const before = await current();
    await controller.hosts.close();
    await controller.store.tx((tx) => updateHost(tx, hostId, { sequence: 0 }));
    await controller.restart();
    await until('a new one', async () => (await current()) !== before);
    expect((await row()).observe_only).toBe(1);
  });

  it('is found out by an incarnation that it never had, once for all hosts that hold it', async () => {
    const other = await TestAgent.create('host2', cleanups);
    const { host_id } = await other.join(await controller.token());
    await other.start();
    await until('up', () => controller.hosts.isUp(host_id));
    const first = await current();
    const lost = await controller.store.tx((tx) => replaceIncarnation(tx, first, 'test'));
    const both = async () => {
      const two = await specOf(other);
      return (await held()).incarnation === (await current()) && two.incarnation === (await current());
    };
    await until('both hold it', both);
    await controller.hosts.close();
    await controller.store.tx(async (tx) => {
      await tx.deleteFrom('incarnation').where('id', '=', lost!).execute();
      await tx.updateTable('setting').set({ value: first }).where('name', '=', 'incarnation').execute();
      await tx.updateTable('host').set({ observe_only: 0 }).execute();
    });
    await controller.restart();
    await until('a third', async () => ![first, lost].includes(await current()));
    await until('both hold that', both);
    const rows = await controller.store.read.selectFrom('incarnation').selectAll().execute();
    expect(rows.map(({ id }) => id).sort()).toEqual([first, lost, await current()].sort());
    expect((await findHost(controller.store.read, host_id))?.observe_only).toBe(1);
  });

  it('is found out by a certificate that it never issued, which is accepted all the same', async () => {
    await settled();
    const before = await current();
    const backup = await row();
    await agent.stop();
    const { ca, key, certificate } = agent.identity;
    const client = new PeerClient(controller.url, 'controller', { ca, key, cert: certificate });
    await renew(new RealHost(), agent.config.state_dir, agent.identity, client, ['127.0.0.1']);
    client.close();
    const { certificate_fingerprint, certificate_issue, next_certificate_fingerprint } = backup;
    await controller.store.tx((tx) =>
      updateHost(tx, hostId, { certificate_fingerprint, certificate_issue, next_certificate_fingerprint }),
    );
    await agent.start({ compute });
    await until('a new one', async () => (await current()) !== before);
    await until('in', async () => (await row()).certificate_fingerprint !== certificate_fingerprint);
    expect((await findIncarnation(controller.store.read)).reason).toMatch(
      /certificate that was issued later/,
    );
    // the one from before is over, as with any renewal
    const old = new PeerClient(controller.url, 'controller', { ca, key, cert: certificate });
    expect((await old.request('GET', '/agent/v1/images/x')).status).toBe(403);
    old.close();
  });

  it('is not suspected without a reason: restarts, resyncs, many changes', async () => {
    await settled();
    const before = await current();
    for (let i = 0; i < 3; i++) {
      await controller.objects.set(hostId, 'server', `s${i}`, server('x'));
      await until('applied', () => compute.present.has(`server/s${i}`));
      await controller.restart();
      await agent.stop();
      await agent.start({ compute });
      await until('up', () => controller.hosts.isUp(hostId));
    }
    expect(await current()).toBe(before);
    expect((await row()).observe_only).toBe(0);
  });
});
