import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp } from '../support/app.js';
import { DIALECTS } from '../support/stores.js';

const V3 = '/identity/v3';
const CONFIG = {
  identity: { driver: 'ldap' },
  ldap: { url: 'ldap://myldap.com:389/', user_tree_dn: 'ou=Users,dc=my_new_root,dc=org' },
};

describe.each(DIALECTS)('configuration of domains on %s', (dialect) => {
  let cloud: TestApp;
  let admin: string;
  let count = 0;

  beforeAll(async () => {
    cloud = await TestApp.open({ dialect });
    admin = await cloud.adminToken();
  });
  afterAll(() => cloud.close());

  const call = (method: string, path: string, config?: unknown, token = admin) =>
    cloud.request(method, V3 + path, { token, ...(config !== undefined && { body: { config } }) });
  /** The path of a new domain's configuration. */
  const domain = async () => {
    const body = { domain: { name: `configured-${count++}`, enabled: false } };
    const reply = await cloud.request('POST', `${V3}/domains`, { token: admin, body });
    expect(reply.status, reply.text).toBe(201);
    return `/domains/${reply.json.domain.id}`;
  };
  const configured = async () => {
    const path = await domain();
    const reply = await call('PUT', `${path}/config`, CONFIG);
    expect([reply.status, reply.json]).toEqual([201, { config: CONFIG }]);
    return `${path}/config`;
  };

  it('is set, shown in parts, changed and removed', async () => {
    const path = await configured();
    expect((await call('GET', path)).json).toEqual({ config: CONFIG });
    expect((await call('GET', `${path}/ldap`)).json).toEqual({ config: { ldap: CONFIG.ldap } });
    expect((await call('GET', `${path}/ldap/url`)).json).toEqual({ config: { url: CONFIG.ldap.url } });
    expect((await call('HEAD', `${path}/ldap/url`)).status).toBe(200);
    const whole = await call('PATCH', path, { ldap: { url: 'ldap://other/' } });
    const changed = { ...CONFIG, ldap: { ...CONFIG.ldap, url: 'ldap://other/' } };
    expect([whole.status, whole.json.config]).toEqual([200, changed]);
    const group = await call('PATCH', `${path}/identity`, { identity: { driver: 'sql', list_limit: 5 } });
    expect(group.json.config.identity).toEqual({ driver: 'sql', list_limit: 5 });
    const option = await call('PATCH', `${path}/identity/driver`, { driver: 'ldap' });
    expect(option.json.config.identity).toEqual({ driver: 'ldap', list_limit: 5 });
    expect((await call('DELETE', `${path}/identity/driver`)).status).toBe(204);
    const gone = await call('GET', `${path}/identity/driver`);
    expect([gone.status, gone.json.error.message]).toEqual([
      404,
      `Could not find option driver in group identity in domain configuration for domain ${path.split('/')[2]}.`,
    ]);
    expect((await call('DELETE', `${path}/identity`)).status).toBe(204);
    expect((await call('GET', `${path}/identity`)).status).toBe(404);
    expect((await call('DELETE', `${path}/identity`)).status).toBe(404);
    // setting all anew replaces what was there
    const anew = await call('PUT', path, { identity: { list_limit: 1 } });
    expect([anew.status, anew.json.config]).toEqual([200, { identity: { list_limit: 1 } }]);
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('GET', path)).status).toBe(404);
  });

  it('has secrets that nobody sees, sealed in the database', async () => {
    const path = await configured();
    const secret = { ldap: { password: 'planted-secret' } };
    const set = await call('PATCH', path, secret);
    expect(set.status).toBe(200);
    for (const reply of [set, await call('GET', path), await call('GET', `${path}/ldap`)]) {
      expect(reply.text).not.toContain('planted-secret');
      expect(reply.text).not.toContain('password');
    }
    expect((await call('GET', `${path}/ldap/password`)).status).toBe(404);
    expect((await call('GET', '/domains/config/ldap/password/default')).status).toBe(403);
    const rows = await cloud.app.store.read.selectFrom('domain_config_secret').selectAll().execute();
    const [row] = rows.filter((one) => path.includes(one.domain_id));
    expect(row!.secret).not.toContain('planted-secret');
    expect(JSON.parse(await cloud.app.identity.sealing.open(row!.secret, row!.id))).toBe('planted-secret');
    // with newer keys, too
    const newer = await vi.waitUntil(
      async () => {
        await cloud.app.identity.sealing.rotate();
        const now = await cloud.app.store.read
          .selectFrom('domain_config_secret')
          .selectAll()
          .where('id', '=', row!.id)
          .executeTakeFirst();
        return now!.secret !== row!.secret && now;
      },
      // keys are told apart by the second in which they were made
      { timeout: 30_000, interval: 500 },
    );
    expect(JSON.parse(await cloud.app.identity.sealing.open(newer.secret, newer.id))).toBe('planted-secret');
    expect((await call('PATCH', `${path}/ldap/password`, { password: 'another' })).status).toBe(200);
    expect((await call('DELETE', `${path}/ldap/password`)).status).toBe(204);
    expect((await call('DELETE', `${path}/ldap/password`)).status).toBe(404);
  });

  it('goes with its domain', async () => {
    const path = await configured();
    await call('PATCH', path, { ldap: { password: 'x' } });
    const id = path.split('/')[2]!;
    expect((await call('DELETE', `/domains/${id}`)).status).toBe(204);
    expect((await call('GET', path)).status).toBe(404);
    for (const table of ['domain_config', 'domain_config_secret'] as const) {
      const left = await cloud.app.store.read
        .selectFrom(table)
        .selectAll()
        .where('domain_id', '=', id)
        .execute();
      expect(left).toEqual([]);
    }
  });

  it.skipIf(dialect === 'postgres')('refuses what Keystone refuses', async () => {
    const path = await configured();
    const nowhere = '/domains/nowhere/config';
    const refusals: [number, string, string, unknown?][] = [
      [403, 'PUT', path, {}],
      [403, 'PUT', path, { nova: { driver: 'x' } }],
      [403, 'PUT', path, { ldap: { unknown: 'x' } }],
      [403, 'PUT', path, { ldap: {} }],
      [400, 'PUT', path, { ldap: 'x' }],
      [400, 'PUT', path],
      [403, 'GET', `${path}/nova`],
      [403, 'GET', `${path}/ldap/unknown`],
      [403, 'PATCH', `${path}/ldap`, { identity: { driver: 'x' } }],
      [403, 'PATCH', `${path}/ldap`, { ldap: { url: 'x' }, identity: { driver: 'x' } }],
      [403, 'PATCH', `${path}/ldap/url`, { url: 'x', user: 'y' }],
      [403, 'PATCH', `${path}/ldap/url`, { user: 'y' }],
      [404, 'PATCH', `${path}/ldap/suffix`, { suffix: 'y' }],
      [404, 'PUT', nowhere, CONFIG],
      [404, 'GET', nowhere],
      [404, 'PATCH', nowhere, CONFIG],
      [404, 'DELETE', nowhere],
      [403, 'GET', '/domains/config/nova/default'],
      [403, 'GET', '/domains/config/ldap/unknown/default'],
      [403, 'GET', `${path}/security_compliance`],
      [403, 'GET', '/domains/default/config/security_compliance/lockout_duration'],
    ];
    for (const [status, method, url, config] of refusals) {
      const reply = await call(method, url, config);
      expect(reply.status, `${method} ${url} ${JSON.stringify(config)}: ${reply.text}`).toBe(status);
    }
    expect((await call('GET', path)).json).toEqual({ config: CONFIG });
  });

  it.skipIf(dialect === 'postgres')('has defaults', async () => {
    const all = (await call('GET', '/domains/config/default')).json.config;
    expect(all.identity).toEqual({ driver: 'sql', list_limit: null });
    expect(all.ldap).not.toHaveProperty('password');
    expect((await call('GET', '/domains/config/ldap/default')).json.config).toEqual({ ldap: all.ldap });
    for (const option of Object.keys(all.ldap)) {
      const reply = await call('GET', `/domains/config/ldap/${option}/default`);
      expect(reply.json.config).toEqual({ [option]: all.ldap[option] });
    }
  });

  it.skipIf(dialect === 'postgres')('is the administrator’s; readers of the system see it', async () => {
    const path = await configured();
    const member = await cloud.projectToken('plain');
    for (const [method, url, config] of [
      ['GET', path],
      ['PUT', path, CONFIG],
      ['PATCH', path, CONFIG],
      ['DELETE', path],
      ['GET', '/domains/config/default'],
    ] as const) {
      expect((await call(method, url, config, member)).status, `${method} ${url}`).toBe(403);
    }
    const rules = await call(
      'GET',
      '/domains/default/config/security_compliance/password_regex',
      undefined,
      member,
    );
    expect([rules.status, rules.json.config]).toEqual([200, { password_regex: null }]);
  });
});
