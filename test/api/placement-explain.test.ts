import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { createAggregate, setAggregateMetadata } from '../../src/core/aggregate/aggregate.js';
import { addAggregateHost } from '../../src/store/compute/aggregate.js';
import { updateHost } from '../../src/store/hosts.js';
import { writeLimits } from '../../src/store/quota.js';
import type { TestUser } from '../support/app.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

const GIB = 1024 ** 3;

describe.each(DIALECTS)('where servers would go, asked before there are any, on %s', (dialect) => {
  let cloud: ComputeCloud;
  let admin: TestUser;
  let member: TestUser;
  let small: string;

  beforeAll(async () => {
    cloud = await ComputeCloud.open({ dialect, services: [adminService] });
    admin = await cloud.cloud.admin();
    member = await cloud.cloud.projectUser('alice');
    await cloud.hosts.add(cloud.cloud, 'large', { memory_mb: 16_896 });
    small = await cloud.hosts.add(cloud.cloud, 'small', { memory_mb: 1536, physical_networks: [] });
    const off = await cloud.hosts.add(cloud.cloud, 'off');
    cloud.hosts.down.add(off);
    await cloud.network(member.projectId, 'private');
    await cloud.network(member.projectId, 'lan', 'extnet');
  });
  afterAll(() => cloud.close());

  const ask = async (body: object, token = admin.token) =>
    await cloud.cloud.request('POST', '/maru/v1/placement/explain', { token, body });
  const explain = async (body: object) => {
    const reply = await ask({ image: 'tiny', ...body });
    expect(reply.status, reply.text).toBe(200);
    return reply.json.explanation;
  };
  const written = async () => {
    const db = cloud.cloud.app.store.read;
    return [
      await db.selectFrom('allocation').selectAll().execute(),
      await db.selectFrom('server').selectAll().execute(),
      await db.selectFrom('change').selectAll().execute(),
    ];
  };

  it('is for administrators', async () => {
    expect((await ask({ flavor: 'm1.tiny' }, member.token)).status).toBe(403);
  });

  it('names every host with its reasons, weights and room, the order and the sum, and changes nothing', async () => {
    const before = await written();
    const answer = await explain({ flavor: 'm1.tiny', networks: ['private'], count: 40 });
    expect(answer).toMatchObject({
      wants: {
        flavor: 'm1.tiny',
        image: 'tiny',
        resources: { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 },
        count: 40,
      },
      chosen: 'large',
      because: expect.stringMatching(
        /^large weighs 1\.000, small 0\.600: memory 1\.00 to 0\.00, vcpus 1\.00 to 1\.00, disk 1\.00 to 1\.00$/,
      ),
      placed: 34,
      placements: { large: 32, small: 2 },
      total: 34,
      quota: null,
    });
    expect(answer.hosts).toEqual([
      {
        name: 'large',
        fits: true,
        weight: 1,
        weights: { memory: 1, vcpus: 1, disk: 1 },
        reasons: [],
        room: 32,
      },
      {
        name: 'small',
        fits: true,
        weight: 0.6,
        weights: { memory: 0, vcpus: 1, disk: 1 },
        reasons: [],
        room: 2,
      },
      {
        name: 'off',
        fits: false,
        weight: 0,
        weights: {},
        reasons: [{ predicate: 'up', reason: 'it is down: not heard of since the controller started' }],
        room: 0,
      },
    ]);
    expect(await written()).toEqual(before);
  });

  it('is what happens then', async () => {
    const answer = await explain({ flavor: 'm1.small', networks: ['lan'], project: 'alice' });
    const lan = (
      await cloud.cloud.app.store.read
        .selectFrom('network')
        .select('id')
        .where('name', '=', 'lan')
        .executeTakeFirstOrThrow()
    ).id;
    const made = await cloud.create(member.token, { flavorRef: '2', networks: [{ uuid: lan }] });
    const { id } = made.json.server;
    expect((await cloud.row(id)).host_id).toBe(
      (
        await cloud.cloud.app.store.read
          .selectFrom('host')
          .select('id')
          .where('name', '=', answer.chosen)
          .executeTakeFirstOrThrow()
      ).id,
    );
    const explained = await cloud.cloud.request('GET', `/maru/v1/servers/${id}/explain`, {
      token: admin.token,
    });
    expect(explained.json.explanation).toMatchObject({
      host: 'large',
      placement: { host: 'large', fitting: 1, refused: 2 },
      // its own capacity counts as free
      now: { because: 'large is the only host that fits' },
    });
    expect(explained.json.explanation.hosts[1]).toMatchObject({
      name: 'off',
      reasons: [{ predicate: 'up' }],
    });
    await cloud.cloud.request('DELETE', `/compute/v2.1/servers/${id}`, { token: member.token });
    await cloud.gone((await cloud.row(id)).host_id!, id);
  });

  it('says with numbers what is missing', async () => {
    const answer = await explain({ flavor: 'm1.medium', networks: ['lan'] });
    const reasons = Object.fromEntries(
      answer.hosts.map((h: { name: string; reasons: { predicate: string; reason: string }[] }) => [
        h.name,
        Object.fromEntries(h.reasons.map(({ predicate, reason }) => [predicate, reason])),
      ]),
    );
    expect(reasons).toMatchObject({
      large: {},
      small: {
        memory: 'needs 4096 MB of memory, it has 1536 altogether',
        'physical networks': 'it is not attached to physical network extnet',
      },
    });
    const none = await explain({ flavor: 'm1.medium', host: 'small' });
    expect(none).toMatchObject({
      chosen: null,
      because: 'no host fits',
      placed: 0,
      total: 0,
      placements: {},
    });
    expect(none.hosts.find((h: { name: string }) => h.name === 'large').reasons).toEqual([
      { predicate: 'requested host', reason: 'the request names host small' },
    ]);
  });

  it('knows hosts that only observe, that do not take their specs, and whose disk is full', async () => {
    const { app } = cloud.cloud;
    const reasons = async () =>
      (await explain({ flavor: 'm1.tiny', host: 'small' })).hosts.find(
        (h: { name: string }) => h.name === 'small',
      ).reasons;
    await app.store.tx((tx) => updateHost(tx, small, { observe_only: 1 }));
    expect(await reasons()).toMatchObject([{ predicate: 'accepted' }]);
    await app.store.tx((tx) => updateHost(tx, small, { observe_only: 0 }));
    cloud.hosts.undelivered.set(small, { fault: 'refused: removal', ms: 1000 });
    expect(await reasons()).toEqual([]);
    cloud.hosts.undelivered.set(small, { fault: 'refused: removal', ms: 31_000 });
    expect(await reasons()).toEqual([
      { predicate: 'delivery', reason: 'its spec cannot be delivered: refused: removal' },
    ]);
    cloud.hosts.undelivered.clear();
    const usage = { memory_used_mb: 0, disk_used_gb: 999.8, running_guests: 0 };
    await app.store.tx((tx) => updateHost(tx, small, { usage: JSON.stringify(usage) }));
    expect(await reasons()).toEqual([
      { predicate: 'free disk', reason: 'its disk is full: 0.2 of 1000 GB free' },
    ]);
    await app.store.tx((tx) => updateHost(tx, small, { usage: null }));
  });

  it('heeds groups, zones, aggregates and quota', async () => {
    const { app } = cloud.cloud;
    const group = await cloud.cloud.request('POST', '/compute/v2.1/os-server-groups', {
      token: member.token,
      body: { server_group: { name: 'apart', policies: ['anti-affinity'] } },
    });
    expect(group.status).toBe(200);
    expect(await explain({ flavor: 'm1.tiny', hints: { group: 'apart' }, count: 5 })).toMatchObject({
      placements: { large: 1, small: 1 },
      placed: 2,
      total: 2,
    });
    const aggregate = await createAggregate(app, 'fast', 'az1');
    await setAggregateMetadata(app, aggregate.id, { filter_tenant_id: member.projectId });
    await app.store.tx((tx) => addAggregateHost(tx, aggregate.id, small));
    const zoned = { flavor: 'm1.tiny', availability_zone: 'az1' };
    expect(await explain(zoned)).toMatchObject({ chosen: null });
    expect(await explain({ ...zoned, project: 'alice' })).toMatchObject({
      chosen: 'small',
      because: 'small is the only host that fits',
    });
    await app.store.tx((tx) => writeLimits(tx, member.projectId, 'compute', { cores: 3 }));
    expect(await explain({ flavor: 'm1.tiny', project: member.projectId, count: 4 })).toMatchObject({
      quota: { allows: 3, words: 'cores: 0 of 3 used; not enough for 4' },
    });
  });

  it('says what does not exist and what comes near, what is ambiguous, and what does not go together', async () => {
    const image = { image: 'tiny' };
    const refusals: [object, number, string][] = [
      [
        { flavor: 'm1.tny', ...image },
        400,
        "There is no flavor 'm1.tny', did you mean m1.tiny?; openstack flavor list --all shows them.",
      ],
      [
        { flavor: 'm1.tiny', image: 'windows' },
        400,
        "There is no image 'windows'; openstack image list shows them.",
      ],
      [
        { flavor: 'm1.tiny', ...image, host: 'smal' },
        400,
        "There is no host 'smal', did you mean small?; maru host list shows them.",
      ],
      [
        { flavor: 'm1.tiny', ...image, availability_zone: 'az9' },
        400,
        "There is no availability zone 'az9'; there are: nova, az1.",
      ],
      [{ flavor: 'm1.tiny', ...image, networks: ['privat'] }, 400, 'did you mean private?'],
      [{ flavor: 'm1.tiny', ...image, project: 'alic' }, 400, 'did you mean alice?'],
      [{ flavor: 'm1.tiny', ...image, hints: { same_host: ['nope'] } }, 400, "There is no server 'nope'"],
      [{ flavor: 'm1.tiny', count: 0 }, 400, ''],
      [{}, 400, 'flavor'],
    ];
    for (const [body, status, message] of refusals) {
      const reply = await ask(body);
      expect(reply.status, reply.text).toBe(status);
      expect(reply.json.error.message).toContain(message);
    }
    await cloud.network(admin.projectId, 'private');
    const twice = await ask({ flavor: 'm1.tiny', ...image, networks: ['private'] });
    expect(twice.status).toBe(409);
    expect(twice.json.error.message).toMatch(/^More than one network is named 'private'; give the id: /);
    await cloud.cloud.app.store.tx((tx) =>
      tx
        .updateTable('image')
        .set({ virtual_size: 5 * GIB })
        .execute(),
    );
    const tooSmall = await ask({ flavor: 'm1.tiny', ...image });
    expect(tooSmall.status).toBe(400);
    expect(tooSmall.json.error.message).toContain("Flavor's disk is too small for requested image.");
  });
});
