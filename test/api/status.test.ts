import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import type { AuthorityStatus } from '../../src/core/gateway.js';
import { beginIncarnation } from '../../src/core/incarnation/incarnation.js';
import type { CloudStatus } from '../../src/core/status/status.js';
import { programVersion } from '../../src/protocol/version.js';
import { noteOrphans } from '../../src/store/orphans.js';
import { nowText } from '../../src/store/store.js';
import { TestApp } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { NO_AUTHORITY } from '../support/fake-hosts.js';
import { DIALECTS } from '../support/stores.js';

const V37 = { 'openstack-api-version': 'compute 2.37' };

describe.each(DIALECTS)('the page of maru status on %s', (dialect) => {
  let compute: ComputeCloud;
  let cloud: TestApp;
  let admin: string;
  let ids: string[];
  let authority: AuthorityStatus = NO_AUTHORITY;

  beforeAll(async () => {
    compute = await ComputeCloud.open({ dialect, services: [adminService] });
    cloud = compute.cloud;
    compute.hosts.gateway.authority.status = async () => authority;
    admin = await cloud.adminToken();
    ids = [];
    for (const name of ['host1', 'host2'])
      ids.push(await compute.hosts.add(cloud, name, { agent_version: programVersion(), disk_gb: 100 }));
  });
  afterAll(() => compute.close());

  const status = async (): Promise<CloudStatus> =>
    (await cloud.request('GET', '/maru/v1/status', { token: admin })).json.status;
  const whats = async () => (await status()).problems.map(({ gravity, what }) => `${gravity}: ${what}`);
  const host = (id: string, values: Record<string, unknown>) =>
    cloud.app.store.tx(async (tx) => {
      await tx.updateTable('host').set(values).where('id', '=', id).execute();
    });

  it('says that nothing is wrong where nothing is, and what there is', async () => {
    const page = await status();
    expect(page.problems).toEqual([]);
    expect(page.warnings).toEqual([]);
    expect(page.summary).toBe('Nothing is wrong; 2 of 2 hosts up.');
    expect(page.counts.hosts).toBe(2);
    expect(page.capacity.VCPU!.used).toBe(0);
    expect(page.capacity.VCPU!.total).toBeGreaterThan(16);
    expect(page.database.kind).toBe(dialect);
    expect(page.database.bytes).toBeGreaterThan(10_000);
    expect(page.version).toBe(programVersion());
  });

  it('does not call a host down that it only has not heard of yet', async () => {
    compute.hosts.unheard.add(ids[0]!);
    const page = await status();
    expect(page.problems).toEqual([]);
    expect(page.summary).toBe('Nothing is wrong; 1 of 2 hosts up, 1 not heard of by this controller yet.');
    compute.hosts.unheard.clear();
  });

  it('has the first few servers in ERROR with their reasons, and how many more there are', async () => {
    const user = await cloud.projectUser('demo');
    const servers: string[] = [];
    for (let i = 0; i < 8; i++)
      servers.push((await compute.create(user.token, { networks: 'none' }, V37)).json.server.id);
    await cloud.app.store.tx(async (tx) => {
      for (const [i, id] of servers.entries()) {
        if (i === 7) continue;
        await tx
          .updateTable('server')
          .set({
            status: 'ERROR',
            fault: JSON.stringify({ message: `reason ${i}` }),
            updated_at: `2026-01-0${i + 1}`,
          })
          .where('id', '=', id)
          .execute();
      }
      await tx.updateTable('task').set({ finished_at: nowText(), state: 'done' }).execute();
      await tx
        .updateTable('task')
        .set({
          finished_at: null,
          state: 'active',
          deadline: '2020-01-01T00:00:00.000Z',
          waiting_for: 'host1',
        })
        .where('object_id', '=', servers[7]!)
        .execute();
    });
    const page = await status();
    const said = page.problems.filter(({ what }) => /ERROR/.test(what));
    expect(said.map(({ what }) => what)).toEqual([
      ...[6, 5, 4, 3, 2].map((i) => expect.stringMatching(new RegExp(`^Server .* is ERROR: reason ${i}$`))),
      '2 more server(s) are in ERROR',
    ]);
    expect(said[0]!.advice).toBe(`maru server explain ${servers[6]}`);
    const tasks = page.problems.filter(({ what }) => what.startsWith('Task'));
    expect(tasks).toHaveLength(1);
    expect(tasks[0]!.what).toMatch(
      /^Task server\.build of server .* is at step .*, overdue since 2020-01-01T00:00:00.000Z: waits for host1$/,
    );
    expect(tasks[0]!.advice).toContain(`maru server explain ${servers[7]}; maru task show `);
    await cloud.app.store.tx(async (tx) => {
      await tx.updateTable('server').set({ status: 'ACTIVE' }).execute();
      await tx.updateTable('task').set({ finished_at: nowText(), state: 'done' }).execute();
    });
    expect((await status()).problems).toEqual([]);
  });

  it('puts outages before failures before what is only to be looked at', async () => {
    const soon = new Date(Date.now() + 2.5 * 24 * 3600 * 1000).toISOString();
    compute.hosts.down.add(ids[0]!);
    compute.hosts.undelivered.set(ids[1]!, { fault: 'connection refused', ms: 60_000 });
    await host(ids[1]!, {
      usage: JSON.stringify({ memory_used_mb: 65_000, disk_used_gb: 97, running_guests: 0 }),
    });
    authority = {
      ...NO_AUTHORITY,
      hosts: [
        { name: 'host2', up: true, expires_at: soon, authority: null, renewed: true, trusts_retired: false },
        {
          name: 'host1',
          up: false,
          expires_at: '2020-01-01T00:00:00Z',
          authority: null,
          renewed: true,
          trusts_retired: false,
        },
      ],
    };
    const page = await status();
    const gravities = page.problems.map(({ gravity }) => gravity);
    expect(gravities).toEqual(['outage', 'outage', 'outage', 'failure', 'attention']);
    expect(await whats()).toEqual([
      expect.stringMatching(/^outage: Host host1 is down \(last seen .*\), with \d+ server\(s\)$/),
      'outage: Host host2 has not taken what it should have for 60 s: connection refused',
      'outage: The certificate of host host1 expired at 2020-01-01T00:00:00Z: it is let in no more',
      'failure: The disk of host host2 is 97 % full: 97 of 100 GB',
      `attention: The certificate of host host2 expires at ${soon}, in 2 days, and was not renewed`,
    ]);
    expect(page.summary).toBe('3 outages, 1 failure, 1 thing to look at; 1 of 2 hosts up.');
    expect(page.problems[0]!.advice).toContain('sudo maru doctor');
    expect(page.warnings).toEqual(['host2: 99 % of its memory are in use']);
    compute.hosts.down.clear();
    compute.hosts.undelivered.clear();
    authority = NO_AUTHORITY;
    await host(ids[1]!, { usage: null });
  });

  it('warns of orphans, other versions, disabled hosts, little capacity', async () => {
    await cloud.app.store.tx((tx) => noteOrphans(tx, ids[0]!, [{ kind: 'bridge', name: 'brq1' }]));
    const facts = JSON.parse(
      (
        await cloud.app.store.read
          .selectFrom('host')
          .select('facts')
          .where('id', '=', ids[1]!)
          .executeTakeFirstOrThrow()
      ).facts!,
    );
    await host(ids[1]!, {
      facts: JSON.stringify({ ...facts, agent_version: '0.0.1', warnings: ['guests run under emulation'] }),
      enabled: 0,
      disabled_reason: 'new fans',
    });
    await cloud.app.store.tx(async (tx) => {
      await tx
        .updateTable('inventory')
        .set((eb) => ({ used: eb.ref('capacity') }))
        .where('resource_class', '=', 'VCPU')
        .where('host_id', '=', ids[0]!)
        .execute();
    });
    const { warnings, problems } = await status();
    expect(problems).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^host1: has 1 thing\(s\) that nothing names, the oldest since .* \(maru cleanup host1\)$/,
      ),
      'host2: disabled (new fans), gets no new servers',
      'host2: guests run under emulation',
      `agents of version 0.0.1, the controller is ${programVersion()}: host2`,
      expect.stringMatching(/^\d+ of \d+ vCPUs are given out: hardly a server fits any more$/),
    ]);
  });

  it('says first that nothing is changed after a restored backup', async () => {
    await beginIncarnation(cloud.app, 'restored the backup of Monday');
    admin = await cloud.adminToken();
    expect((await whats())[0]).toBe(
      'outage: Nothing is changed on 2 host(s) (host1, host2): restored the backup of Monday',
    );
  });
});

it('without any host, says how one joins', async () => {
  const cloud = await TestApp.open({ services: [adminService] });
  try {
    const reply = await cloud.request('GET', '/maru/v1/status', { token: await cloud.adminToken() });
    expect(reply.json.status).toMatchObject({
      summary: '1 thing to look at; 0 of 0 hosts up.',
      problems: [{ gravity: 'attention', what: 'No host has joined' }],
    });
  } finally {
    await cloud.close();
  }
});
