import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_PASSWORD, type TestApp } from '../support/app.js';
import {
  type ClientSettings,
  OpenStackShell,
  openListening,
  passwordSettings,
  runClient,
} from '../support/openstack-shell.js';

/** Credentials of every kind, delegation and tokens with the stock openstack command. */

let cloud: TestApp;
let endpoint: string;
let os: OpenStackShell;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'maru-openstack-'));
  ({ cloud, endpoint } = await openListening());
  os = OpenStackShell.start(adminSettings());
  await os.get('project create shared');
  await os.get('user create --password secret-1 other');
  await os.run(
    'role add --user admin --project shared member',
    'role add --user admin --project shared reader',
  );
});
afterAll(async () => {
  await os?.close();
  await cloud?.close();
  rmSync(directory, { recursive: true, force: true });
});

function adminSettings(project = 'admin'): ClientSettings {
  return passwordSettings(endpoint, { username: 'admin', password: ADMIN_PASSWORD, project });
}

/** Settings of an authentication type other than password. */
function settings(type: string, more: ClientSettings): ClientSettings {
  return {
    OS_AUTH_TYPE: type,
    OS_AUTH_URL: `${endpoint}/identity/v3`,
    OS_IDENTITY_API_VERSION: '3',
    ...more,
  };
}

describe('openstack credential', () => {
  it('creates, shows, lists, changes and deletes', async () => {
    const made = await os.get('credential create --type cert --project admin admin some-data');
    expect(made).toMatchObject({ type: 'cert', blob: 'some-data' });
    await os.run(`credential set --user admin --type cert --data other-data --project admin ${made.id}`);
    expect(await os.get(`credential show ${made.id}`)).toMatchObject({ blob: 'other-data' });
    expect(await os.get('credential list --type cert --user admin')).toEqual([
      {
        ID: made.id,
        Type: 'cert',
        'User ID': made.user_id,
        Data: 'other-data',
        'Project ID': made.project_id,
      },
    ]);
    await os.run(`credential delete ${made.id}`);
    expect(await os.get('credential list --type cert')).toEqual([]);
  });

  it('creates, shows, lists and deletes those of EC2', async () => {
    const made = await os.get('ec2 credentials create --project shared');
    expect(made).toMatchObject({
      access: expect.stringMatching(/^[0-9a-f]{32}$/),
      secret: expect.stringMatching(/^[0-9a-f]{32}$/),
      trust_id: null,
    });
    expect(await os.get(`ec2 credentials show ${made.access}`)).toMatchObject({ secret: made.secret });
    expect(await os.get('ec2 credentials list')).toEqual([
      {
        Access: made.access,
        Secret: made.secret,
        'Project ID': made.project_id,
        'User ID': made.user_id,
      },
    ]);
    await os.run(`ec2 credentials delete ${made.access}`);
    expect(await os.say(`ec2 credentials show ${made.access}`)).toContain('HTTP 404');
  });
});

describe('openstack application credential and access rule', () => {
  it('creates with rules, shows, lists, is authenticated with, and deletes', async () => {
    const rules = join(directory, 'rules.json');
    writeFileSync(
      rules,
      JSON.stringify([
        { service: 'identity', method: 'GET', path: '/v3/users/**' },
        { service: 'identity', method: 'GET', path: '/v3/roles' },
      ]),
    );
    const made = await os.get(
      `application credential create --secret open-sesame --role admin --description does --access-rules ${rules} ac1`,
    );
    expect(made).toMatchObject({
      name: 'ac1',
      description: 'does',
      secret: 'open-sesame',
      unrestricted: false,
    });
    const shown = await os.get('application credential show ac1');
    expect(shown).toMatchObject({ id: made.id, name: 'ac1', roles: 'admin' });
    expect(JSON.stringify(shown)).not.toContain('open-sesame');
    expect(await os.get('application credential list')).toEqual([
      expect.objectContaining({ ID: made.id, Name: 'ac1' }),
    ]);
    const listed = await os.get('access rule list');
    expect(listed).toHaveLength(2);
    expect(listed).toContainEqual(
      expect.objectContaining({ Service: 'identity', Method: 'GET', Path: '/v3/roles' }),
    );
    const [rule] = listed;
    expect(await os.get(`access rule show ${rule.ID}`)).toMatchObject({ id: rule.ID, path: rule.Path });

    const credential = settings('v3applicationcredential', {
      OS_APPLICATION_CREDENTIAL_ID: made.id,
      OS_APPLICATION_CREDENTIAL_SECRET: 'open-sesame',
    });
    const limited = OpenStackShell.start(credential);
    try {
      expect((await limited.get('role list')).length).toBeGreaterThan(3);
      // no rule allows it
      expect(await limited.say('project list')).toMatch(/HTTP 40[13]/);
    } finally {
      await limited.close();
    }
    expect(await os.say(`access rule delete ${rule.ID}`)).not.toBe('');
    await os.run('application credential delete ac1');
    await os.run(...listed.map(({ ID }: { ID: string }) => `access rule delete ${ID}`));
    expect(await os.get('access rule list')).toEqual([]);
    const gone = await runClient('openstack', ['token', 'issue'], credential);
    expect(gone.exitCode).toBe(1);
    expect(gone.stderr).toContain('HTTP 401');
  });
});

describe('openstack trust', () => {
  it('creates, shows, lists, is used, and deletes', async () => {
    const made = await os.get('trust create --project shared --role member --impersonate admin other');
    expect(made).toMatchObject({ impersonation: true, roles: 'member' });
    expect(await os.get(`trust show ${made.id}`)).toMatchObject({
      trustee_user_id: made.trustee_user_id,
      trustor_user_id: made.trustor_user_id,
      roles: 'member',
    });
    expect(await os.get('trust list')).toEqual([
      expect.objectContaining({ ID: made.id, Impersonation: true, 'Project ID': made.project_id }),
    ]);
    const trusted = {
      ...settings('password', {
        OS_USERNAME: 'other',
        OS_PASSWORD: 'secret-1',
        OS_USER_DOMAIN_NAME: 'Default',
      }),
      OS_TRUST_ID: made.id,
    };
    const issued = await runClient('openstack', ['token', 'issue', '-f', 'json'], trusted);
    expect(JSON.parse(issued.stdout), issued.stderr).toMatchObject({
      project_id: made.project_id,
      user_id: made.trustor_user_id,
    });
    await os.run(`trust delete ${made.id}`);
    expect(await os.get('trust list')).toEqual([]);
    expect((await runClient('openstack', ['token', 'issue'], trusted)).exitCode).toBe(1);
  });
});

describe('openstack consumer, request token and access token', () => {
  it('lets a consumer act for a user who has authorized it', async () => {
    const consumer = await os.get('consumer create --description app');
    expect(consumer).toMatchObject({ description: 'app', secret: expect.any(String) });
    await os.run(`consumer set --description renamed ${consumer.id}`);
    const shown = await os.get(`consumer show ${consumer.id}`);
    expect(shown).toMatchObject({ id: consumer.id, description: 'renamed' });
    expect(shown).not.toHaveProperty('secret');
    expect(await os.get('consumer list')).toEqual([{ ID: consumer.id, Description: 'renamed' }]);

    const key = `--consumer-key ${consumer.id} --consumer-secret ${consumer.secret}`;
    const requested = await os.get(`request token create ${key} --project shared`);
    expect(requested).toMatchObject({
      id: expect.any(String),
      key: expect.any(String),
      secret: expect.any(String),
    });
    const { oauth_verifier: verifier } = await os.get(
      `request token authorize --request-key ${requested.key} --role member`,
    );
    expect(verifier).toEqual(expect.any(String));
    const request = `--request-key ${requested.key} --request-secret ${requested.secret}`;
    expect(await os.say(`access token create ${key} ${request} --verifier wrong`)).toMatch(/HTTP 40[013]/);
    const access = await os.get(`access token create ${key} ${request} --verifier ${verifier}`);
    expect(access).toMatchObject({ key: expect.any(String), secret: expect.any(String) });

    const oauth = settings('v3oauth1', {
      OS_CONSUMER_KEY: consumer.id,
      OS_CONSUMER_SECRET: consumer.secret,
      OS_ACCESS_KEY: access.key,
      OS_ACCESS_SECRET: access.secret,
    });
    const issued = await runClient('openstack', ['token', 'issue', '-f', 'json'], oauth);
    const project = await os.get('project show shared');
    expect(JSON.parse(issued.stdout || '{}'), issued.stderr).toMatchObject({ project_id: project.id });
    const forged = { ...oauth, OS_ACCESS_SECRET: 'guessed' };
    expect((await runClient('openstack', ['token', 'issue'], forged)).stderr).toContain('HTTP 401');

    await os.run(`consumer delete ${consumer.id}`);
    expect(await os.get('consumer list')).toEqual([]);
    expect((await runClient('openstack', ['token', 'issue'], oauth)).exitCode).toBe(1);
  });
});

describe('openstack token', () => {
  it('is issued, used, and revoked', async () => {
    const { id, project_id, expires } = await os.get('token issue');
    expect(Date.parse(expires)).toBeGreaterThan(Date.now());
    const holder = settings('v3token', { OS_TOKEN: id, OS_PROJECT_ID: project_id });
    const used = OpenStackShell.start(holder);
    try {
      const again = await used.get('token issue');
      expect(again).toMatchObject({ project_id });
      // the token that it was got with would get another one
      await os.run(`token revoke ${again.id}`, `token revoke ${id}`);
      expect(await used.say('role list')).toMatch(/HTTP 40[14]/);
    } finally {
      await used.close();
    }
    expect((await runClient('openstack', ['token', 'issue'], holder)).stderr).toMatch(/HTTP 40[14]/);
    expect(await os.say('token revoke nonsense')).toContain('HTTP 404');
  });
});

describe('openstack federation commands', () => {
  it('say that there is none', async () => {
    const lists = ['identity provider list', 'mapping list', 'service provider list'];
    for (const list of lists) expect(await os.say(list), list).toContain('HTTP 404');
    expect(await os.say('identity provider create idp')).toContain('HTTP 404');
    expect(await os.say('federation protocol list --identity-provider idp')).toContain('HTTP 404');
    expect(await os.get('federation project list')).toContainEqual(
      expect.objectContaining({ Name: 'admin' }),
    );
  });
});
