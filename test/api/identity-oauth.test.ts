import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApp, type TestUser } from '../support/app.js';
import { Oauthlib, type OauthSigner } from '../support/oauthlib.js';

const V3 = '/identity/v3';
const BASE = 'http://127.0.0.1:5000/identity/v3';

describe('OAuth 1.0a', () => {
  let cloud: TestApp;
  let oauthlib: Oauthlib;
  let admin: TestUser;
  let member: TestUser;

  beforeAll(async () => {
    oauthlib = new Oauthlib();
    cloud = await TestApp.open();
    admin = await cloud.admin();
    member = await cloud.projectUser('one');
  });
  afterAll(async () => {
    oauthlib.close();
    await cloud.close();
  });

  const call = (method: string, path: string, body?: unknown, token = admin.token) =>
    cloud.request(method, V3 + path, { token, body });
  const signed = async (
    path: string,
    signer: Omit<OauthSigner, 'url'>,
    options: { body?: unknown; headers?: Record<string, string>; url?: string } = {},
  ) => {
    const authorization = await oauthlib.sign({ url: options.url ?? BASE + path, ...signer });
    return await cloud.request('POST', V3 + path, {
      body: options.body,
      headers: { authorization, host: '127.0.0.1:5000', ...options.headers },
    });
  };
  const newConsumer = async () => {
    const made = await call('POST', '/OS-OAUTH1/consumers', { consumer: { description: 'ci' } });
    expect(made.status, made.text).toBe(201);
    return { consumer: made.json.consumer.id, consumer_secret: made.json.consumer.secret };
  };
  const form = (text: string) => Object.fromEntries(new URLSearchParams(text)) as Record<string, string>;
  const requestToken = async (signer: { consumer: string; consumer_secret: string }) => {
    const reply = await signed(
      '/OS-OAUTH1/request_token',
      { ...signer, callback: 'oob' },
      { headers: { 'requested-project-id': admin.projectId } },
    );
    expect(reply.status, reply.text).toBe(201);
    expect(reply.headers['content-type']).toBe('application/x-www-form-urlencoded');
    const { oauth_token, oauth_token_secret, oauth_expires_at } = form(reply.text);
    expect(Date.parse(oauth_expires_at!)).toBeGreaterThan(Date.now());
    return { token: oauth_token!, token_secret: oauth_token_secret! };
  };
  /** The whole way to an access token with the given roles. */
  const access = async (roles: readonly { id?: string; name?: string }[] = [{ name: 'member' }]) => {
    const signer = await newConsumer();
    const request = await requestToken(signer);
    const authorized = await call('PUT', `/OS-OAUTH1/authorize/${request.token}`, { roles });
    expect(authorized.status, authorized.text).toBe(200);
    const verifier = authorized.json.token.oauth_verifier as string;
    expect(verifier).toMatch(/^[A-Za-z2-9]{8}$/);
    const reply = await signed('/OS-OAUTH1/access_token', { ...signer, ...request, verifier });
    expect(reply.status, reply.text).toBe(201);
    const { oauth_token, oauth_token_secret } = form(reply.text);
    return { ...signer, token: oauth_token!, token_secret: oauth_token_secret! };
  };
  const login = (signer: Omit<OauthSigner, 'url'>, scope?: unknown) =>
    signed('/auth/tokens', signer, {
      body: { auth: { identity: { methods: ['oauth1'], oauth1: {} }, scope } },
    });

  it('has consumers whose secret is shown once', async () => {
    const made = await call('POST', '/OS-OAUTH1/consumers', { consumer: { description: 'a', mine: 1 } });
    const { id, secret } = made.json.consumer;
    expect(made.json.consumer).toMatchObject({ description: 'a', mine: 1 });
    expect(secret).toMatch(/^[0-9a-f]{32}$/);
    for (const path of ['/OS-OAUTH1/consumers', `/OS-OAUTH1/consumers/${id}`]) {
      const shown = await call('GET', path);
      expect(shown.status).toBe(200);
      expect(shown.text).toContain(id);
      expect(shown.text).not.toContain(secret);
    }
    const rows = await cloud.app.store.read.selectFrom('oauth_consumer').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret);
    const changed = await call('PATCH', `/OS-OAUTH1/consumers/${id}`, { consumer: { description: 'b' } });
    expect(changed.json.consumer).toMatchObject({ description: 'b', mine: 1 });
    for (const consumer of [{ secret: 'x' }, {}, { description: 5 }]) {
      expect((await call('PATCH', `/OS-OAUTH1/consumers/${id}`, { consumer })).status).toBe(400);
    }
    expect((await call('GET', '/OS-OAUTH1/consumers', undefined, member.token)).status).toBe(403);
    expect((await call('DELETE', `/OS-OAUTH1/consumers/${id}`)).status).toBe(204);
    expect((await call('GET', `/OS-OAUTH1/consumers/${id}`)).status).toBe(404);
  });

  it('lets a consumer act with the authorized roles only, and no further', async () => {
    const signer = await access([{ name: 'reader' }]);
    const reply = await login(signer);
    expect(reply.status, reply.text).toBe(201);
    expect(reply.json.token).toMatchObject({
      methods: ['oauth1'],
      user: { id: admin.userId },
      project: { id: admin.projectId },
      'OS-OAUTH1': { access_token_id: signer.token, consumer_id: signer.consumer },
    });
    expect(reply.json.token.roles.map((role: { name: string }) => role.name)).toEqual(['reader']);
    const token = reply.headers['x-subject-token']!;
    expect((await call('GET', `/users/${admin.userId}`, undefined, token)).status).toBe(200);
    const more = { auth: { identity: { methods: ['token'], token: { id: token } } } };
    expect((await call('POST', '/auth/tokens', more)).status).toBe(403);
    const credential = { application_credential: { name: 'backdoor' } };
    const path = `/users/${admin.userId}/application_credentials`;
    expect((await call('POST', path, credential, token)).status).toBe(403);
    expect((await login(signer, { project: { id: member.projectId } })).status).toBe(401);
    expect((await login(signer, { system: { all: true } })).status).toBe(401);
  });

  it('does not mix with trusts and application credentials', async () => {
    const signer = await access([{ name: 'reader' }]);
    const trust = {
      trustor_user_id: member.userId,
      trustee_user_id: admin.userId,
      project_id: member.projectId,
      impersonation: false,
      roles: [{ name: 'member' }],
    };
    const { id } = (await call('POST', '/OS-TRUST/trusts', { trust }, member.token)).json.trust;
    expect((await login(signer, { 'OS-TRUST:trust': { id } })).status).toBe(401);
    const path = `/users/${admin.userId}/application_credentials`;
    const made = await call('POST', path, { application_credential: { name: 'mixed' } });
    const { id: credential, secret } = made.json.application_credential;
    const identity = {
      methods: ['application_credential', 'oauth1'],
      oauth1: {},
      application_credential: { id: credential, secret },
    };
    expect((await signed('/auth/tokens', signer, { body: { auth: { identity } } })).status).toBe(401);
    const token = (await login(signer)).headers['x-subject-token']!;
    const listed = await call('GET', `/OS-TRUST/trusts?trustee_user_id=${admin.userId}`, undefined, token);
    expect(listed.json.trusts ?? []).toEqual([]);
  });

  it('refuses wrong signatures, replays, old timestamps, other consumers and wrong verifiers', async () => {
    const signer = await newConsumer();
    const other = await newConsumer();
    const project = { 'requested-project-id': admin.projectId };
    const path = '/OS-OAUTH1/request_token';
    const status = async (change: object, options: object = { headers: project }) =>
      (await signed(path, { ...signer, ...change }, options)).status;
    expect(await status({ consumer_secret: 'wrong' })).toBe(401);
    expect(await status({ consumer: 'f'.repeat(32) })).toBe(401);
    // without a consumer's secret nobody learns which projects there are
    const nowhere = { headers: { 'requested-project-id': 'none' } };
    expect(await status({ consumer_secret: 'wrong' }, nowhere)).toBe(401);
    expect(await status({ timestamp: '1000000000' })).toBe(401);
    expect(await status({}, {})).toBe(400);
    expect(await status({}, { headers: { 'requested-project-id': 'none' } })).toBe(404);
    expect(await status({}, { headers: project, url: `${BASE}/OS-OAUTH1/access_token` })).toBe(401);
    const fixed = { nonce: 'once', timestamp: String(Math.floor(Date.now() / 1000)) };
    expect(await status(fixed)).toBe(201);
    expect(await status(fixed)).toBe(401);
    expect((await cloud.request('POST', V3 + path)).status).toBe(400);
    for (const key of ['%00', '%zz']) {
      const headers = { authorization: `OAuth oauth_consumer_key="${key}"` };
      expect((await cloud.request('POST', V3 + path, { headers })).status).toBe(400);
    }
    const request = await requestToken(signer);
    const exchange = (change: object) =>
      signed('/OS-OAUTH1/access_token', { ...signer, ...request, verifier: 'abcdefgh', ...change });
    expect((await exchange({})).status).toBe(401);
    const roles = [{ name: 'member' }];
    const { json } = await call('PUT', `/OS-OAUTH1/authorize/${request.token}`, { roles });
    const verifier = json.token.oauth_verifier;
    expect((await exchange({ verifier: 'abcdefgh' })).status).toBe(401);
    expect((await exchange({ verifier, ...other })).status).toBe(401);
    expect((await exchange({ verifier, token_secret: 'wrong' })).status).toBe(401);
    expect((await exchange({ verifier: undefined })).status).toBe(400);
    expect((await exchange({ verifier })).status).toBe(201);
    expect((await exchange({ verifier })).status).toBe(401);
  });

  it('authorizes only roles that the user has, by a token of the user’s own', async () => {
    const request = await requestToken(await newConsumer());
    const path = `/OS-OAUTH1/authorize/${request.token}`;
    const custom = (await call('POST', '/roles', { role: { name: 'not-had' } })).json.role.id;
    expect((await call('PUT', path, { roles: [{ id: custom }] })).status).toBe(401);
    expect((await call('PUT', path, { roles: [{ id: 'none' }] })).status).toBe(404);
    expect((await call('PUT', path, { roles: [{ id: custom, name: 'x' }] })).status).toBe(400);
    expect((await call('PUT', '/OS-OAUTH1/authorize/none', { roles: [] })).status).toBe(404);
    expect((await call('PUT', path, { roles: [] }, member.token)).status).toBe(403);
    const delegated = await login(await access([{ name: 'admin' }]));
    const token = delegated.headers['x-subject-token']!;
    expect((await call('PUT', path, { roles: [] }, token)).status).toBe(403);
    expect(
      (await call('GET', `/users/${admin.userId}/OS-OAUTH1/access_tokens`, undefined, token)).status,
    ).toBe(403);
  });

  it('shows a user’s access tokens without secrets, and ends their tokens with them and with the consumer', async () => {
    const [one, two] = [await access(), await access()];
    const tokens: string[] = [];
    for (const signer of [one, two]) tokens.push((await login(signer)).headers['x-subject-token']!);
    const path = `/users/${admin.userId}/OS-OAUTH1/access_tokens`;
    const list = await call('GET', path);
    const ids = list.json.access_tokens.map((token: { id: string }) => token.id);
    expect(ids).toEqual(expect.arrayContaining([one.token, two.token]));
    expect(list.text).not.toContain(one.token_secret);
    const shown = await call('GET', `${path}/${one.token}`);
    expect(shown.json.access_token).toMatchObject({
      consumer_id: one.consumer,
      authorizing_user_id: admin.userId,
      project_id: admin.projectId,
    });
    const roles = (await call('GET', `${path}/${one.token}/roles`)).json.roles;
    expect(roles.map((role: { name: string }) => role.name)).toEqual(['member']);
    expect((await call('GET', `${path}/${one.token}/roles/${roles[0].id}`)).status).toBe(200);
    expect((await call('GET', `${path}/${one.token}/roles/none`)).status).toBe(404);
    expect((await call('GET', `/users/${member.userId}/OS-OAUTH1/access_tokens/${one.token}`)).status).toBe(
      404,
    );
    const works = async (i: number) =>
      (await call('GET', `/users/${admin.userId}`, undefined, tokens[i])).status;
    expect([await works(0), await works(1)]).toEqual([200, 200]);
    expect((await call('DELETE', `${path}/${one.token}`)).status).toBe(204);
    expect([await works(0), await works(1)]).toEqual([401, 200]);
    expect((await login(one)).status).toBe(401);
    expect((await call('DELETE', `/OS-OAUTH1/consumers/${two.consumer}`)).status).toBe(204);
    expect(await works(1)).toBe(401);
    expect((await login(two)).status).toBe(401);
  });
});

describe('OAuth 2.0 client credentials', () => {
  let cloud: TestApp;
  let owner: TestUser;
  let client: { id: string; secret: string };

  beforeAll(async () => {
    cloud = await TestApp.open();
    owner = await cloud.projectUser('owner');
    const made = await cloud.request('POST', `${V3}/users/${owner.userId}/application_credentials`, {
      token: owner.token,
      body: { application_credential: { name: 'client', roles: [{ name: 'reader' }] } },
    });
    client = made.json.application_credential;
  });
  afterAll(() => cloud.close());

  const ask = (form: Record<string, string> | string, basic?: string) =>
    cloud.request('POST', `${V3}/OS-OAUTH2/token`, {
      body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(basic !== undefined && { authorization: `Basic ${Buffer.from(basic).toString('base64')}` }),
      },
    });

  it.each([
    ['basic authentication', {}, true],
    ['parameters', { client: true }, false],
  ])('gives a token for %s', async (_, { client: inForm }: { client?: boolean }, inHeader) => {
    const reply = await ask(
      {
        grant_type: 'client_credentials',
        ...(inForm && { client_id: client.id, client_secret: client.secret }),
      },
      inHeader ? `${client.id}:${client.secret}` : undefined,
    );
    expect(reply.status, reply.text).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.json).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: expect.any(Number),
    });
    expect(reply.json.expires_in).toBeGreaterThan(3000);
    const shown = await cloud.request('GET', `${V3}/auth/tokens`, {
      headers: {
        authorization: `Bearer ${reply.json.access_token}`,
        'x-subject-token': reply.json.access_token,
      },
    });
    expect(shown.status).toBe(200);
    expect(shown.json.token).toMatchObject({
      user: { id: owner.userId },
      project: { id: owner.projectId },
      methods: ['application_credential'],
    });
    expect(shown.json.token.roles.map((role: { name: string }) => role.name)).toEqual(['reader']);
  });

  it('refuses as RFC 6749 says', async () => {
    const good = () => `${client.id}:${client.secret}`;
    const cases: [string, number, string, Promise<{ status: number; json: unknown }>][] = [
      ['no grant type', 400, 'invalid_request', ask({}, good())],
      ['another grant type', 400, 'unsupported_grant_type', ask({ grant_type: 'password' }, good())],
      ['no client', 401, 'invalid_client', ask({ grant_type: 'client_credentials' })],
      ['a wrong secret', 401, 'invalid_client', ask({ grant_type: 'client_credentials' }, `${client.id}:x`)],
      ['an unknown client', 401, 'invalid_client', ask({ grant_type: 'client_credentials' }, 'x:y')],
      [
        'a parameter twice',
        400,
        'invalid_request',
        ask('grant_type=client_credentials&grant_type=x', good()),
      ],
    ];
    const nul = { grant_type: 'client_credentials', client_id: '\0', client_secret: 'x' };
    cases.push(['NUL', 401, 'invalid_client', ask(nul)]);
    for (const [what, status, error, reply] of cases) {
      const { status: got, json } = await reply;
      expect([what, got, (json as { error: string }).error]).toEqual([what, status, error]);
      expect(json).toHaveProperty('error_description');
    }
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      const reply = await cloud.request(method, `${V3}/OS-OAUTH2/token`);
      expect([reply.status, reply.json.error]).toEqual([405, 'other_error']);
    }
  });
});
