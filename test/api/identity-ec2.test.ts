import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ec2Signature } from '../../src/core/credential/ec2-signature.js';
import { TestApp, type TestUser } from '../support/app.js';

const V3 = '/identity/v3';

interface Pair {
  readonly access: string;
  readonly secret: string;
}

describe('EC2 key pairs', () => {
  let cloud: TestApp;
  let admin: TestUser;
  let owner: TestUser;
  let service: TestUser;

  beforeAll(async () => {
    cloud = await TestApp.open();
    admin = await cloud.admin();
    owner = await cloud.projectUser('owner');
    service = await cloud.projectUser('service', 'service');
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, body?: unknown, token = owner.token) =>
    cloud.request(method, V3 + path, { token, body });
  const make = async (user = owner, token = user.token): Promise<Pair> => {
    const reply = await call(
      'POST',
      `/users/${user.userId}/credentials/OS-EC2`,
      { tenant_id: user.projectId },
      token,
    );
    expect(reply.status, reply.text).toBe(201);
    return reply.json.credential;
  };
  /** A request signed by version 2 now, or at another time. */
  const signed = (pair: Pair, at = Date.now()) => {
    const request = {
      access: pair.access,
      verb: 'GET',
      host: '127.0.0.1:8773',
      path: '/services/Cloud/',
      params: {
        SignatureVersion: '2',
        Action: 'DescribeInstances',
        AWSAccessKeyId: pair.access,
        Timestamp: `${new Date(at).toISOString().slice(0, 19)}Z`,
      },
    };
    return { ...request, signature: ec2Signature(pair.secret, request) };
  };
  const exchange = (credentials: unknown, token: string | undefined = service.token, path = '/ec2tokens') =>
    cloud.request('POST', V3 + path, { ...(token && { token }), body: { credentials } });

  it('give a token of their user on their project for a signed request', async () => {
    const pair = await make();
    const reply = await exchange(signed(pair));
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json.token).toMatchObject({
      methods: ['ec2credential'],
      user: { id: owner.userId },
      project: { id: owner.projectId },
    });
    const token = reply.headers['x-subject-token']!;
    expect((await call('GET', `/users/${owner.userId}`, undefined, token)).status).toBe(200);
    for (const name of ['credential', 'ec2Credentials']) {
      const body = { [name]: signed(pair) };
      expect((await call('POST', '/ec2tokens', body, service.token)).status).toBe(200);
    }
  });

  it('give one for a request signed by version 4, in its header or its query', async () => {
    const pair = await make();
    const now = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
    const scope = `${pair.access}/${now.slice(0, 8)}/RegionOne/ec2/aws4_request`;
    const body_hash = createHash('sha256').update('').digest('hex');
    const header = {
      access: pair.access,
      verb: 'GET',
      host: 'cloud',
      path: '/',
      params: { Action: 'x' },
      body_hash,
      headers: {
        Host: 'cloud',
        'X-Amz-Date': now,
        Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=x`,
      },
    };
    const query = {
      ...header,
      headers: { Host: 'cloud' },
      params: {
        'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
        'X-Amz-Credential': scope,
        'X-Amz-Date': now,
        'X-Amz-SignedHeaders': 'host',
      },
    };
    for (const request of [header, query]) {
      const signature = ec2Signature(pair.secret, request);
      expect((await exchange({ ...request, signature })).status).toBe(200);
      expect((await exchange({ ...request, signature, path: '/other' })).status).toBe(401);
    }
  });

  it('give one for what an S3 service had signed', async () => {
    const pair = await make();
    const text = 'GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/bucket/object';
    const token = Buffer.from(text).toString('base64url');
    const signature = createHmac('sha1', pair.secret).update(text).digest('base64');
    const good = { access: pair.access, token, signature };
    const reply = await exchange(good, service.token, '/s3tokens');
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json.token.project.id).toBe(owner.projectId);
    expect(reply.headers).not.toHaveProperty('x-subject-token');
    for (const bad of [
      { ...good, signature: 'x' },
      { ...good, token: 'x' },
      { access: pair.access, signature },
    ]) {
      expect((await exchange(bad, service.token, '/s3tokens')).status).toBe(401);
    }
  });

  it('give none for wrong, old or unknown signatures, nor to anybody but services', async () => {
    const pair = await make();
    const good = signed(pair);
    expect((await exchange({ ...good, signature: 'x' })).status).toBe(401);
    expect((await exchange({ ...good, signature: undefined })).status).toBe(401);
    expect((await exchange({ ...good, params: { ...good.params, Action: 'Other' } })).status).toBe(401);
    expect((await exchange(signed(pair, Date.now() - 16 * 60_000))).status).toBe(401);
    expect((await exchange(signed({ ...pair, access: 'none' }))).status).toBe(404);
    expect((await exchange({})).status).toBe(401);
    expect((await call('POST', '/ec2tokens', {}, service.token)).status).toBe(400);
    expect((await call('POST', '/ec2tokens', undefined, service.token)).status).toBe(400);
    expect((await cloud.request('POST', `${V3}/ec2tokens`, { body: { credentials: good } })).status).toBe(
      401,
    );
    expect((await exchange(good, owner.token)).status).toBe(403);
    expect((await exchange(good, admin.token)).status).toBe(200);
    expect((await call('GET', '/ec2tokens', undefined, service.token)).status).toBe(405);
  });

  it('end with the key pair, and with the user’s role', async () => {
    const user = await cloud.projectUser('leaver');
    const pair = await make(user);
    const path = `/users/${user.userId}/credentials/OS-EC2/${pair.access}`;
    const stranger = await cloud.projectToken('stranger');
    expect((await call('GET', path, undefined, stranger)).status).toBe(403);
    expect((await call('DELETE', path, undefined, stranger)).status).toBe(403);
    const roles = (await call('GET', '/roles?name=member', undefined, admin.token)).json.roles;
    const grant = `/projects/${user.projectId}/users/${user.userId}/roles/${roles[0].id}`;
    expect((await call('DELETE', grant, undefined, admin.token)).status).toBe(204);
    expect((await exchange(signed(pair))).status).toBe(401);
    expect((await call('PUT', grant, undefined, admin.token)).status).toBe(204);
    expect((await exchange(signed(pair))).status).toBe(200);
    expect((await call('DELETE', path, undefined, admin.token)).status).toBe(204);
    expect((await exchange(signed(pair))).status).toBe(404);
  });

  it('made by an application credential or a trust give no more than these', async () => {
    const credentials = `/users/${owner.userId}/application_credentials`;
    const make2 = async (values: object) => {
      const made = await call('POST', credentials, { application_credential: values });
      const { id, secret } = made.json.application_credential;
      const identity = { methods: ['application_credential'], application_credential: { id, secret } };
      const reply = await cloud.request('POST', `${V3}/auth/tokens`, { body: { auth: { identity } } });
      return { id, token: reply.headers['x-subject-token']! };
    };
    const free = await make2({ name: 'free', unrestricted: true });
    const bound = await make2({ name: 'bound' });
    const path = `/users/${owner.userId}/credentials/OS-EC2`;
    const tenant = { tenant_id: owner.projectId };
    expect((await call('POST', path, tenant, bound.token)).status).toBe(403);
    const pair = await make(owner, free.token);
    const reply = await exchange(signed(pair));
    expect(reply.json.token.application_credential.id).toBe(free.id);
    expect((await call('DELETE', `${credentials}/${free.id}`)).status).toBe(204);
    expect((await exchange(signed(pair))).status).toBe(401);

    const trustee = await cloud.projectUser('trustee');
    const trust = await call('POST', '/OS-TRUST/trusts', {
      trust: {
        trustor_user_id: owner.userId,
        trustee_user_id: trustee.userId,
        project_id: owner.projectId,
        impersonation: true,
        roles: [{ name: 'member' }],
      },
    });
    const auth = {
      identity: { methods: ['token'], token: { id: trustee.token } },
      scope: { 'OS-TRUST:trust': { id: trust.json.trust.id } },
    };
    const entrusted = await cloud.request('POST', `${V3}/auth/tokens`, { body: { auth } });
    const byTrust = await make(owner, entrusted.headers['x-subject-token']!);
    const token = await exchange(signed(byTrust));
    expect(token.json.token['OS-TRUST:trust'].id).toBe(trust.json.trust.id);
    expect((await call('DELETE', `/OS-TRUST/trusts/${trust.json.trust.id}`)).status).toBe(204);
    expect((await exchange(signed(byTrust))).status).toBe(401);
  });
});
