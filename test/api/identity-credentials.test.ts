import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { credentials } from '../../src/store/identity/delegations.js';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

describe('credentials', () => {
  let cloud: TestApp;
  let admin: TestUser;
  let owner: TestUser;
  let other: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open();
    admin = await cloud.admin();
    owner = await cloud.projectUser('owner');
    other = await cloud.projectUser('other');
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = owner.token) =>
    cloud.request(method, V3 + path, { token, body });
  const make = async (values: object, token = owner.token) => {
    const reply = await call('POST', '/credentials', { credential: values }, token);
    expect(reply.status, reply.text).toBe(201);
    return reply.json.credential;
  };
  const ec2 = (access: string) => ({
    type: 'ec2',
    user_id: owner.userId,
    project_id: owner.projectId,
    blob: JSON.stringify({ access, secret: `secret of ${access}` }),
  });

  it('are kept sealed, whatever their kind, and shown to their owner and administrators', async () => {
    const made = await make({ type: 'cert', user_id: owner.userId, blob: 'a private key' });
    expect(made).toMatchObject({ type: 'cert', blob: 'a private key', project_id: null });
    const rows = await cloud.app.store.read.selectFrom('credential').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain('a private key');
    const path = `/credentials/${made.id}`;
    for (const { token } of [owner, admin]) {
      expect((await call('GET', path, undefined, token)).json.credential.blob).toBe('a private key');
    }
    for (const [method, body] of [['GET'], ['PATCH', { credential: { blob: 'x' } }], ['DELETE']] as const) {
      expect((await call(method, path, body, other.token)).status).toBe(403);
    }
    const theirs = { credential: { type: 'cert', user_id: owner.userId, blob: 'x' } };
    expect((await call('POST', '/credentials', theirs, other.token)).status).toBe(403);
    const changed = await call('PATCH', path, { credential: { blob: 'another' } });
    expect(changed.json.credential.blob).toBe('another');
    const away = { credential: { user_id: other.userId } };
    expect((await call('PATCH', path, away)).status).toBe(403);
    expect((await call('PATCH', path, away, admin.token)).status).toBe(200);
    expect((await call('GET', path)).status).toBe(403);
    expect((await call('DELETE', path, undefined, other.token)).status).toBe(204);
    expect((await call('GET', path, undefined, admin.token)).status).toBe(404);
  });

  it('are shown to readers of the system without their secrets', async () => {
    const auditor = await cloud.projectUser('auditor', 'reader');
    const [reader] = (await call('GET', '/roles?name=reader', undefined, admin.token)).json.roles;
    await call('PUT', `/system/users/${auditor.userId}/roles/${reader.id}`, undefined, admin.token);
    const reply = await cloud.request('POST', `${V3}/auth/tokens`, {
      body: {
        auth: {
          identity: { methods: ['token'], token: { id: auditor.token } },
          scope: { system: { all: true } },
        },
      },
    });
    const token = reply.headers['x-subject-token']!;
    const seed = await make({ type: 'totp', user_id: owner.userId, blob: 'SEEDSEED' });
    const pair = await make(ec2('audited'));
    for (const path of [
      '/credentials',
      `/credentials/${seed.id}`,
      `/credentials/${pair.id}`,
      `/users/${owner.userId}/credentials/OS-EC2`,
      `/users/${owner.userId}/credentials/OS-EC2/audited`,
    ]) {
      const shown = await call('GET', path, undefined, token);
      expect(shown.status, path).toBe(200);
      expect(shown.text, path).toContain(owner.userId);
      expect(shown.text, path).not.toMatch(/SEEDSEED|secret of/);
      const own = await call('GET', path, undefined, owner.token);
      expect(own.text, path).toMatch(/SEEDSEED|secret of/);
    }
    for (const { id } of [seed, pair]) await call('DELETE', `/credentials/${id}`);
  });

  it('that cannot be opened are left out and can be deleted, and keep nobody from the others', async () => {
    const bad = await make({ type: 'totp', user_id: owner.userId, blob: 'broken' });
    const good = await make({ type: 'totp', user_id: owner.userId, blob: 'whole' });
    await cloud.app.store.tx((tx) => credentials.update(tx, bad.id, { blob: 'k1.00000000.AAAA' }));
    const listed = await call('GET', '/credentials?type=totp');
    expect(listed.status).toBe(200);
    expect(listed.json.credentials.map((one: { id: string }) => one.id)).toEqual([good.id]);
    for (const { id } of [bad, good]) expect((await call('DELETE', `/credentials/${id}`)).status).toBe(204);
  });

  it('are listed by user and type, to others than administrators only their own', async () => {
    await make({ type: 'a', user_id: owner.userId, blob: '1' });
    await make({ type: 'b', user_id: owner.userId, blob: '2' });
    await make({ type: 'a', user_id: other.userId, blob: '3' }, other.token);
    const blobs = async (query: string, token: string) =>
      (await call('GET', `/credentials${query}`, undefined, token)).json.credentials
        .map((credential: { blob: string }) => credential.blob)
        .sort();
    expect(await blobs('', admin.token)).toEqual(['1', '2', '3']);
    expect(await blobs(`?user_id=${owner.userId}`, admin.token)).toEqual(['1', '2']);
    expect(await blobs('?type=a', admin.token)).toEqual(['1', '3']);
    expect(await blobs('', owner.token)).toEqual(['1', '2']);
    expect(await blobs(`?user_id=${other.userId}`, owner.token)).toEqual([]);
  });

  it('of EC2 are JSON with a key that is taken once, and keep to their delegation', async () => {
    const made = await make(ec2('key-1'));
    expect((await call('POST', '/credentials', { credential: ec2('key-1') })).status).toBe(409);
    for (const bad of [
      { ...ec2('key-2'), blob: 'x' },
      { ...ec2('key-2'), blob: '{}' },
      { ...ec2('key-2'), project_id: null },
      { type: 'ec2' },
    ]) {
      expect((await call('POST', '/credentials', { credential: bad })).status).toBe(400);
    }
    const shown = await call('GET', `/users/${owner.userId}/credentials/OS-EC2/key-1`);
    expect(shown.json.credential.secret).toBe('secret of key-1');
    const rebound = JSON.stringify({ access: 'key-1', secret: 's', trust_id: 'x' });
    const change = (blob: string) => call('PATCH', `/credentials/${made.id}`, { credential: { blob } });
    expect((await change(rebound)).status).toBe(400);
    // what binds a pair does not come off by way of another type, and is not made up
    const retype = (type: string) => call('PATCH', `/credentials/${made.id}`, { credential: { type } });
    expect((await retype('cert')).status).toBe(400);
    const cert = await make({ type: 'cert', user_id: owner.userId, blob: '{"access":"c","secret":"s"}' });
    const toEc2 = { credential: { type: 'ec2', project_id: owner.projectId } };
    expect((await call('PATCH', `/credentials/${cert.id}`, toEc2)).status).toBe(400);
    for (const name of ['trust_id', 'app_cred_id', 'access_token_id']) {
      const blob = JSON.stringify({ access: 'key-5', secret: 's', [name]: 'x' });
      const credential = { ...ec2('key-5'), blob };
      expect((await call('POST', '/credentials', { credential })).status).toBe(400);
    }
    expect((await change(JSON.stringify({ access: 'key-1', secret: 's' }))).status).toBe(200);
  });

  it('of other projects, and those without one, are out of reach for delegated tokens', async () => {
    const totp = await make({ type: 'totp', user_id: owner.userId, blob: 'SEED' });
    const own = await make(ec2('key-3'));
    const path = `/users/${owner.userId}/application_credentials`;
    const credential = { application_credential: { name: 'program', unrestricted: true } };
    const { id, secret } = (await call('POST', path, credential)).json.application_credential;
    const identity = { methods: ['application_credential'], application_credential: { id, secret } };
    const reply = await cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity } } });
    const token = reply.headers['x-subject-token']!;
    const ids = (await call('GET', '/credentials', undefined, token)).json.credentials.map(
      (found: { id: string }) => found.id,
    );
    expect(ids).toEqual([]);
    for (const [method, body] of [['GET'], ['PATCH', { credential: { blob: 'x' } }], ['DELETE']] as const) {
      expect((await call(method, `/credentials/${totp.id}`, body, token)).status).toBe(403);
    }
    // secrets that the user made without the delegation would give more than it
    expect((await call('GET', `/credentials/${own.id}`, undefined, token)).status).toBe(403);
    const pairs = `/users/${owner.userId}/credentials/OS-EC2`;
    expect((await call('GET', pairs, undefined, token)).json.credentials).toEqual([]);
    expect((await call('GET', `${pairs}/key-3`, undefined, token)).status).toBe(403);
    expect((await call('DELETE', `${pairs}/key-3`, undefined, token)).status).toBe(403);
    // and a TOTP seed lets its maker in without the delegation, in whatever project it is
    for (const project_id of [undefined, owner.projectId]) {
      const seed = { credential: { type: 'totp', user_id: owner.userId, blob: 'MINE', project_id } };
      expect((await call('POST', '/credentials', seed, token)).status).toBe(403);
    }
    const made = await make(ec2('key-4'), token);
    expect(JSON.parse(made.blob).app_cred_id).toBe(id);
    expect((await call('GET', `${pairs}/key-4`, undefined, token)).status).toBe(200);
    for (const change of [{ type: 'cert' }, { blob: made.blob }]) {
      const path = `/credentials/${made.id}`;
      expect((await call('PATCH', path, { credential: change }, token)).status).toBe(403);
    }
  });
});

describe('limits of what a user may make', () => {
  let cloud: TestApp;
  let owner: TestUser;

  beforeAll(async () => {
    const config = { credential_user_limit: 1, application_credential_user_limit: 1, trust_user_limit: 1 };
    cloud = await TestApp.open({ config });
    owner = await cloud.projectUser('owner');
  });
  afterAll(() => cloud.close());

  it('hold for credentials, application credentials and trusts, whichever way they are made', async () => {
    const { userId, projectId, token } = owner;
    const post = async (path: string, body: object) =>
      (await cloud.request('POST', V3 + path, { token, body })).status;
    const credential = { credential: { type: 'cert', user_id: userId, blob: 'x' } };
    const trust = {
      trustor_user_id: userId,
      trustee_user_id: userId,
      project_id: projectId,
      impersonation: false,
      roles: [{ name: 'member' }],
    };
    expect(await post('/credentials', credential)).toBe(201);
    expect(await post('/credentials', credential)).toBe(403);
    expect(await post(`/users/${userId}/credentials/OS-EC2`, { tenant_id: projectId })).toBe(403);
    const programs = `/users/${userId}/application_credentials`;
    expect(await post(programs, { application_credential: { name: 'one' } })).toBe(201);
    expect(await post(programs, { application_credential: { name: 'two' } })).toBe(403);
    expect(await post('/OS-TRUST/trusts', { trust })).toBe(201);
    expect(await post('/OS-TRUST/trusts', { trust })).toBe(403);
  });
});

describe('policy documents of endpoints', () => {
  let cloud: TestApp;
  let admin: string;

  beforeAll(async () => {
    cloud = await TestApp.open();
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = admin) =>
    cloud.request(method, V3 + path, { token, body });
  const policy = async () =>
    (await call('POST', '/policies', { policy: { type: 'application/json', blob: '{}' } })).json.policy
      .id as string;

  it('are the endpoint’s own, else those of its service in its region or above, else of its service', async () => {
    const region = async (id: string, parent_region_id?: string) => {
      expect((await call('POST', '/regions', { region: { id, parent_region_id } })).status).toBe(201);
    };
    await region('top');
    await region('below', 'top');
    const { service } = (await call('POST', '/services', { service: { type: 'thing' } })).json;
    const made = await call('POST', '/endpoints', {
      endpoint: { service_id: service.id, interface: 'public', url: 'http://x', region_id: 'below' },
    });
    const endpoint = made.json.endpoint.id as string;
    const shown = () => call('GET', `/endpoints/${endpoint}/OS-ENDPOINT-POLICY/policy`);
    expect((await shown()).status).toBe(404);
    const places = [
      `services/${service.id}`,
      `services/${service.id}/regions/top`,
      `services/${service.id}/regions/below`,
      `endpoints/${endpoint}`,
    ];
    const ids: string[] = [];
    for (const place of places) {
      const id = await policy();
      const path = `/policies/${id}/OS-ENDPOINT-POLICY/${place}`;
      expect((await call('GET', path)).status).toBe(404);
      expect((await call('PUT', path)).status).toBe(204);
      for (const method of ['GET', 'HEAD']) expect((await call(method, path)).status).toBe(204);
      expect((await shown()).json.policy.id).toBe(id);
      const list = await call('GET', `/policies/${id}/OS-ENDPOINT-POLICY/endpoints`);
      expect(list.json.endpoints.map((found: { id: string }) => found.id)).toEqual([endpoint]);
      ids.push(id);
    }
    // another one for the same place takes it over
    const last = await policy();
    expect((await call('PUT', `/policies/${last}/OS-ENDPOINT-POLICY/${places[3]}`)).status).toBe(204);
    expect((await shown()).json.policy.id).toBe(last);
    expect((await call('GET', `/policies/${ids[3]}/OS-ENDPOINT-POLICY/${places[3]}`)).status).toBe(404);
    expect((await call('DELETE', `/policies/${last}`)).status).toBe(204);
    expect((await shown()).json.policy.id).toBe(ids[2]);
    const path = `/policies/${ids[2]}/OS-ENDPOINT-POLICY/${places[2]}`;
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('DELETE', path)).status).toBe(404);
    expect((await shown()).json.policy.id).toBe(ids[1]);
    expect((await call('PUT', '/policies/none/OS-ENDPOINT-POLICY/services/none')).status).toBe(404);
    const member = await cloud.projectToken('one');
    expect((await call('PUT', path, undefined, member)).status).toBe(403);
    expect((await call('DELETE', `/services/${service.id}`)).status).toBe(204);
    expect((await call('GET', `/policies/${ids[0]}/OS-ENDPOINT-POLICY/endpoints`)).json.endpoints).toEqual(
      [],
    );
  });
});
