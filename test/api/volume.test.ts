import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { volumeService } from '../../src/api/volume/service.js';
import { sweepDeletedVolumes } from '../../src/core/volume/change.js';
import { onVolumeReports } from '../../src/core/volume/reports.js';
import { volumeKind } from '../../src/desired/volume.js';
import { allocationsOf } from '../../src/store/compute/placement.js';
import { listTombstones } from '../../src/store/hosts.js';
import { TestApp } from '../support/app.js';
import { RowHosts } from '../support/fake-hosts.js';
import { DIALECTS } from '../support/stores.js';

describe.each(DIALECTS)('volume API on %s', (dialect) => {
  const hosts = new RowHosts();
  let cloud: TestApp;
  let hostId: string;
  let alice: { token: string; projectId: string };
  let bob: { token: string; projectId: string };
  let admin: string;

  beforeAll(async () => {
    cloud = await TestApp.open({
      dialect,
      services: [(app) => volumeService(app.config)],
      parts: { hosts: hosts.gateway },
    });
    hostId = await hosts.add(cloud, 'host1');
    alice = await cloud.projectUser('alice');
    bob = await cloud.projectUser('bob');
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const url = (who: { projectId: string }, path = '') => `/volume/v3/${who.projectId}/volumes${path}`;

  async function create(who = alice, volume: Record<string, unknown> = { size: 1, name: 'v' }) {
    return await cloud.insist('POST', url(who), { token: who.token, body: { volume } });
  }

  function report(id: string, state: 'applied' | 'error' | 'gone') {
    const error = state === 'error' ? { message: 'no space left' } : undefined;
    const key = `volume/${id}` as const;
    return cloud.app.store.tx((tx) => onVolumeReports(tx, hostId, [{ key, revision: 'r', state, error }]));
  }

  async function show(id: string, who = alice) {
    return await cloud.request('GET', url(who, `/${id}`), { token: who.token });
  }

  it('creates a volume, which is available once its host says so, and gone once the host says so', async () => {
    const created = await create(alice, { size: 2, name: 'v1', metadata: { a: 'b' } });
    expect(created.status).toBe(202);
    const { id } = created.json.volume;
    expect(created.json.volume).toMatchObject({
      status: 'creating',
      size: 2,
      bootable: 'false',
      volume_type: '__DEFAULT__',
      metadata: { a: 'b' },
      attachments: [],
    });
    expect(created.json.volume.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
    const wanted = await volumeKind.objects(cloud.app.store.read, hostId);
    expect(wanted.get(id)).toEqual({ id, format: 'qcow2', size_bytes: 2 * 1024 ** 3, image: null });
    expect(await volumeKind.hostsOf(cloud.app.store.read, { kind: 'volume', id })).toEqual([hostId]);

    await report(id, 'applied');
    expect((await show(id)).json.volume.status).toBe('available');
    expect((await cloud.request('DELETE', url(alice, `/${id}`), { token: alice.token })).status).toBe(202);
    expect((await show(id)).json.volume.status).toBe('deleting');
    expect((await volumeKind.objects(cloud.app.store.read, hostId)).has(id)).toBe(false);
    expect((await listTombstones(cloud.app.store.read, hostId)).map((t) => t.object_key)).toContain(
      `volume/${id}`,
    );
    await report(id, 'gone');
    expect((await show(id)).status).toBe(404);
  });

  const claimed = async (id: string) =>
    (await allocationsOf(cloud.app.store.read, { consumer_id: id })).length;
  const remove = async (id: string) =>
    (await cloud.request('DELETE', url(alice, `/${id}`), { token: alice.token })).status;

  it("ends the deletion when the host is down; the host's work, and the capacity it takes, stay noted", async () => {
    const { id } = (await create()).json.volume;
    await report(id, 'applied');
    expect(await remove(id)).toBe(202);
    hosts.down.add(hostId);
    await sweepDeletedVolumes(cloud.app);
    expect((await show(id)).status).toBe(404);
    expect(await remove(id)).toBe(404);
    expect((await listTombstones(cloud.app.store.read, hostId)).map((t) => t.object_key)).toContain(
      `volume/${id}`,
    );
    expect(await claimed(id)).toBe(1);
    hosts.down.delete(hostId);
    await report(id, 'gone');
    expect(await claimed(id)).toBe(0);
  });

  it('is gone at once when the host is down already, and after two deletions at once', async () => {
    const { id } = (await create()).json.volume;
    await report(id, 'applied');
    hosts.down.add(hostId);
    expect([202, 404]).toEqual(expect.arrayContaining(await Promise.all([remove(id), remove(id)])));
    hosts.down.delete(hostId);
    expect((await show(id)).status).toBe(404);
  });

  it('shows that its host does not get the deletion done, which may still succeed', async () => {
    const { id } = (await create()).json.volume;
    await report(id, 'applied');
    expect(await Promise.all([remove(id), remove(id)])).toContain(202);
    await sweepDeletedVolumes(cloud.app);
    expect((await show(id)).json.volume.status).toBe('deleting');
    const long = { delete_requested_at: '2020-01-01T00:00:00.000Z' };
    await cloud.app.store.tx((tx) => tx.updateTable('volume').set(long).where('id', '=', id).execute());
    await sweepDeletedVolumes(cloud.app);
    expect((await show(id)).json.volume.status).toBe('error_deleting');
    expect(await remove(id)).toBe(202);
    expect(await claimed(id)).toBe(1);
    await report(id, 'gone');
    expect((await show(id)).status).toBe(404);
    expect(await claimed(id)).toBe(0);
  });

  it('shows the error of its host, and can be deleted then', async () => {
    const { id } = (await create()).json.volume;
    await report(id, 'error');
    expect((await show(id)).json.volume.status).toBe('error');
    expect((await cloud.request('DELETE', url(alice, `/${id}`), { token: alice.token })).status).toBe(202);
  });

  it("hides other projects' volumes", async () => {
    const { id } = (await create()).json.volume;
    for (const [method, path, body] of [
      ['GET', `/${id}`, undefined],
      ['PUT', `/${id}`, { volume: { name: 'x' } }],
      ['DELETE', `/${id}`, undefined],
      ['GET', `/${id}/metadata`, undefined],
    ] as const) {
      const reply = await cloud.request(method, url(bob, path), { token: bob.token, body });
      expect(reply.status, `${method} ${path}`).toBe(404);
      expect(reply.json).toEqual({
        itemNotFound: { code: 404, message: `Volume ${id} could not be found.` },
      });
    }
    const elsewhere = await cloud.request('GET', url(alice), { token: bob.token });
    expect(elsewhere.status).toBe(400);
    expect((await show(id)).json.volume.name).toBe('v');
  });

  it('answers bad input in its own words and changes nothing', async () => {
    const count = async () =>
      (await cloud.request('GET', url(alice), { token: alice.token })).json.volumes.length;
    const before = await count();
    for (const [body, message] of [
      [{}, "'volume' is a required property"],
      [{ volume: { size: -1 } }, '-1 is less than the minimum of 1'],
      [{ volume: { size: 0 } }, 'minimum'],
      [{ volume: { size: 'x' } }, 'x'],
      [{ volume: {} }, 'Volume size'],
      [{ volume: { size: 1, metadata: { a: 1 } } }, 'not of type'],
      ['{bad', 'Malformed request body'],
    ] as const) {
      const reply = await cloud.request('POST', url(alice), { token: alice.token, body });
      expect(reply.status).toBe(400);
      expect(reply.json.badRequest.message).toContain(message);
    }
    const missing = await create(alice, { size: 1, imageRef: randomUUID() });
    expect(missing.status).toBe(400);
    expect((await create(alice, { size: 1, volume_type: 'nope' })).status).toBe(404);
    expect((await cloud.request('GET', url(alice))).status).toBe(401);
    expect(
      (await cloud.request('GET', `/volume/v3/${alice.projectId}/nope`, { token: alice.token })).status,
    ).toBe(404);
    expect(await count()).toBe(before);
  });

  it('negotiates microversions', async () => {
    const at = (version: string) =>
      cloud.request('GET', url(alice), {
        token: alice.token,
        headers: { 'openstack-api-version': `volume ${version}` },
      });
    expect((await at('latest')).headers['openstack-api-version']).toBe('volume 3.70');
    expect((await at('3.999')).json.computeFault.message).toBe(
      'Version 3.999 is not supported by the API. Minimum is 3.0 and maximum is 3.70.',
    );
    expect((await at('bad')).status).toBe(400);
    expect((await cloud.request('GET', '/volume/')).status).toBe(300);
    expect((await cloud.request('GET', '/volume/v3/')).json.versions[0].id).toBe('v3.0');
    expect((await cloud.request('GET', '/volume/v3/volumes', { token: alice.token })).status).toBe(200);
  });

  it('gives exactly the quota to parallel creates', async () => {
    const dave = await cloud.projectUser('dave');
    const replies = await Promise.all(Array.from({ length: 50 }, () => create(dave)));
    const made = replies.filter((r) => r.status === 202);
    expect(made).toHaveLength(10);
    expect(replies.filter((r) => r.status === 413)).toHaveLength(40);
    const limits = await cloud.request('GET', `/volume/v3/${dave.projectId}/limits`, { token: dave.token });
    expect(limits.json.limits.absolute).toMatchObject({ totalVolumesUsed: 10, totalGigabytesUsed: 10 });
    const quota = `/volume/v3/${dave.projectId}/os-quota-sets/${dave.projectId}`;
    const raised = await cloud.request('PUT', quota, { token: admin, body: { quota_set: { volumes: 11 } } });
    expect(raised.status).toBe(400); // the path names another project than the token
    const adminProject = (await cloud.admin()).projectId;
    const path = `/volume/v3/${adminProject}/os-quota-sets/${dave.projectId}`;
    const ok = await cloud.request('PUT', path, { token: admin, body: { quota_set: { volumes: 11 } } });
    expect(ok.json.quota_set.volumes).toBe(11);
    expect((await create(dave)).status).toBe(202);
    expect((await create(dave)).status).toBe(413);
    const { id } = made[0]!.json.volume;
    await report(id, 'applied');
    await cloud.request('DELETE', url(dave, `/${id}`), { token: dave.token });
    expect((await create(dave)).status).toBe(202);
  });

  it('says why no host would do', async () => {
    const big = await create(alice, { size: 900 });
    const rest = await create(alice, { size: 90 });
    expect([big.status, rest.status]).toEqual([202, 202]);
    const erin = await cloud.projectUser('erin');
    const { id } = (await create(erin, { size: 500 })).json.volume;
    expect((await show(id, erin)).json.volume.status).toBe('error');
    expect((await cloud.request('DELETE', url(erin, `/${id}`), { token: erin.token })).status).toBe(202);
    expect((await show(id, erin)).status).toBe(404);
  });

  it('pages and filters lists, and keeps metadata', async () => {
    const frank = await cloud.projectUser('frank');
    for (const name of ['a', 'b', 'c']) await create(frank, { size: 1, name, metadata: { [name]: 'x' } });
    const list = async (query: string) =>
      (await cloud.request('GET', url(frank, `/detail?${query}`), { token: frank.token })).json;
    expect((await list('sort=name:asc')).volumes.map((v: { name: string }) => v.name)).toEqual([
      'a',
      'b',
      'c',
    ]);
    const first = await list('sort=name:asc&limit=2');
    expect(first.volumes_links[0].rel).toBe('next');
    const rest = await list(`sort=name:asc&limit=2&marker=${first.volumes[1].id}`);
    expect(rest.volumes.map((v: { name: string }) => v.name)).toEqual(['c']);
    expect((await list("metadata={'b': 'x'}")).volumes.map((v: { name: string }) => v.name)).toEqual(['b']);
    expect((await list('name=c')).volumes).toHaveLength(1);
    const { id } = first.volumes[0];
    const meta = url(frank, `/${id}/metadata`);
    await cloud.request('POST', meta, { token: frank.token, body: { metadata: { more: '1' } } });
    expect((await cloud.request('GET', meta, { token: frank.token })).json).toEqual({
      metadata: { a: 'x', more: '1' },
    });
    await cloud.request('DELETE', `${meta}/a`, { token: frank.token });
    expect((await cloud.request('GET', `${meta}/a`, { token: frank.token })).status).toBe(404);
    const renamed = await cloud.request('PUT', url(frank, `/${id}`), {
      token: frank.token,
      body: { volume: { name: 'z' } },
    });
    expect(renamed.json.volume.name).toBe('z');
  });

  it('lets administrators manage types, everybody see public ones', async () => {
    const { projectId } = await cloud.admin();
    const types = `/volume/v3/${projectId}/types`;
    const made = await cloud.request('POST', types, {
      token: admin,
      body: {
        volume_type: { name: 'fast', extra_specs: { k: 'v' }, 'os-volume-type-access:is_public': false },
      },
    });
    expect(made.json.volume_type).toMatchObject({ name: 'fast', is_public: false, extra_specs: { k: 'v' } });
    const twice = await cloud.request('POST', types, {
      token: admin,
      body: { volume_type: { name: 'fast' } },
    });
    expect(twice.status).toBe(409);
    const own = `/volume/v3/${alice.projectId}/types`;
    const seen = await cloud.request('GET', own, { token: alice.token });
    expect(seen.json.volume_types.map((t: { name: string }) => t.name)).toEqual(['__DEFAULT__']);
    const denied = await cloud.request('POST', own, {
      token: alice.token,
      body: { volume_type: { name: 'x' } },
    });
    expect(denied.status).toBe(403);
    const gone = await cloud.request('DELETE', `${types}/${made.json.volume_type.id}`, { token: admin });
    expect(gone.status).toBe(202);
  });
});
