import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { adminService } from '../../src/api/admin/service.js';
import { Client } from '../../src/cli/client.js';
import { findCredentials } from '../../src/cli/credentials.js';
import { base32Bytes, stepOf, totpCode } from '../../src/core/identity/totp.js';
import { ADMIN_PASSWORD, TestApp, type TestUser } from '../support/app.js';

const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

/** What the commands get in with, as a controller takes it. */
describe('maru with clouds.yaml', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-clouds-'));
  let cloud: TestApp;
  let admin: TestUser;
  let url: string;

  beforeAll(async () => {
    cloud = await TestApp.open({ services: [() => adminService()] });
    await cloud.fastify.listen({ host: '127.0.0.1', port: 0 });
    url = `http://127.0.0.1:${(cloud.fastify.server.address() as AddressInfo).port}/identity/v3`;
    admin = await cloud.admin();
  });
  afterAll(async () => {
    await cloud.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const post = async (path: string, body: object) => {
    const reply = await cloud.request('POST', `/identity/v3${path}`, { token: admin.token, body });
    expect(reply.status, reply.text).toBe(201);
    return reply.json;
  };
  /** The hosts, which administrators may see only. */
  const hosts = async (auth: object, more: object = {}, env: NodeJS.ProcessEnv = {}) => {
    const file = join(directory, 'clouds.yaml');
    writeFileSync(file, stringify({ clouds: { one: { auth: { auth_url: url, ...auth }, ...more } } }));
    const client = new Client(findCredentials({ OS_CLIENT_CONFIG_FILE: file, ...env }));
    return (await client.get<{ hosts: unknown[] }>('/maru/v1/hosts')).hosts;
  };
  const password = { username: 'admin', password: ADMIN_PASSWORD };

  it('uses application credentials by id and by name', async () => {
    const of = { auth_type: 'v3applicationcredential' };
    const { application_credential: made } = await post(`/users/${admin.userId}/application_credentials`, {
      application_credential: { name: 'night' },
    });
    const secret = { application_credential_secret: made.secret };
    expect(await hosts({ application_credential_id: made.id, ...secret }, of)).toEqual([]);
    const named = { application_credential_name: 'night', ...secret };
    expect(await hosts({ ...named, user_id: admin.userId }, of)).toEqual([]);
    expect(await hosts({ ...named, username: 'admin', user_domain_name: 'Default' }, of)).toEqual([]);
    const wrong = hosts({ application_credential_id: made.id, application_credential_secret: 'x' }, of);
    await expect(wrong).rejects.toThrow(`refuses application credential ${made.id}: wrong id or secret`);
  });

  it('uses passwords for a project by id, a domain, the system and tokens', async () => {
    expect(await hosts({ ...password, project_id: admin.projectId })).toEqual([]);
    expect(await hosts({ ...password, system_scope: 'all' })).toEqual([]);
    expect(await hosts({ token: admin.token })).toEqual([]);
    expect(await hosts({ token: admin.token, project_name: 'admin' }, { auth_type: 'v3token' })).toEqual([]);
    await expect(hosts({ ...password, domain_id: 'default' })).rejects.toThrow(
      /refuses user admin: wrong name or password, or no role there \(domain_id default\)/,
    );
    const foreign = hosts({ ...password, user_domain_id: 'elsewhere', project_name: 'admin' });
    await expect(foreign).rejects.toThrow('refuses user admin');
  });

  it('tells an administrator of several factors which, and takes them', async () => {
    const options = { multi_factor_auth_rules: [['password', 'totp']] };
    const { user } = await post('/users', { user: { name: 'careful', password: 'one', options } });
    await post('/credentials', { credential: { type: 'totp', blob: SECRET, user_id: user.id } });
    const { roles } = (await cloud.request('GET', '/identity/v3/roles?name=admin', { token: admin.token }))
      .json;
    const grant = `/identity/v3/projects/${admin.projectId}/users/${user.id}/roles/${roles[0].id}`;
    expect((await cloud.request('PUT', grant, { token: admin.token })).status).toBe(204);

    const auth = { username: 'careful', password: 'one', project_name: 'admin' };
    await expect(hosts(auth)).rejects.toThrow('it must prove who it is by password and totp');
    const both = { auth_type: 'v3multifactor', auth_methods: ['v3password', 'v3totp'] };
    await expect(hosts(auth, both)).rejects.toThrow('passcode is missing');
    const passcode = totpCode(base32Bytes(SECRET)!, stepOf(Date.now()));
    expect(await hosts(auth, both, { OS_PASSCODE: passcode })).toEqual([]);
  });
});
