import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { users } from '../../src/store/identity/users.js';
import { ADMIN_PASSWORD, type TestApp } from '../support/app.js';
import {
  type ClientSettings,
  OpenStackShell,
  openListening,
  passwordSettings,
  runClient,
} from '../support/openstack-shell.js';

/** How people's clients meet identity: clouds.yaml, every way to authenticate, what goes wrong, large lists, the Python libraries. */

const MANY = 1000;
/** RFC 6238's secret of the tests in its appendix. */
const TOTP_KEY = '12345678901234567890';

let cloud: TestApp;
let endpoint: string;
let os: OpenStackShell;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'maru-openstack-'));
  // a client may take longer to start than a passcode is good for by default
  ({ cloud, endpoint } = await openListening({ config: { totp_included_previous_windows: 10 } }));
  os = OpenStackShell.start(admin());
});
afterAll(async () => {
  await os?.close();
  await cloud?.close();
  rmSync(directory, { recursive: true, force: true });
});

function admin(more: ClientSettings = {}): ClientSettings {
  const login = { username: 'admin', password: ADMIN_PASSWORD, project: 'admin' };
  return { ...passwordSettings(endpoint, login), ...more };
}

function openstack(settings: ClientSettings, ...args: string[]) {
  return runClient('openstack', args, settings);
}

describe('clouds.yaml', () => {
  it('is all that a client needs, for a project and for the system', async () => {
    const auth = {
      auth_url: `${endpoint}/identity/v3`,
      username: 'admin',
      password: ADMIN_PASSWORD,
      user_domain_id: 'default',
    };
    const file = join(directory, 'clouds.yaml');
    const clouds = {
      system: { auth: { ...auth, system_scope: 'all' } },
      // the URL without a version works too
      bare: {
        auth: {
          ...auth,
          auth_url: `${endpoint}/identity`,
          project_name: 'admin',
          project_domain_id: 'default',
        },
      },
    };
    writeFileSync(file, stringify({ clouds }));
    for (const name of Object.keys(clouds)) {
      const settings = { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: name };
      const { stdout, stderr } = await openstack(settings, 'role', 'list', '-f', 'value', '-c', 'Name');
      expect(stdout.split('\n'), `${name}: ${stderr}`).toContain('reader');
    }
  });
});

describe('openstack says', () => {
  it('that a password is wrong, in words that do not tell what is', async () => {
    const words = 'The request you have made requires authentication.';
    const { exitCode, stderr } = await openstack(admin({ OS_PASSWORD: 'wrong' }), 'token', 'issue');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^([^(]*) \(HTTP 401\) \(Request-ID: req-[0-9a-f-]{36}\)\n$/);
    expect(stderr).toContain(words);
    const domain = { id: 'default' };
    const right = {
      user: { name: 'admin', password: ADMIN_PASSWORD, domain },
      project: { name: 'admin', domain },
    };
    for (const change of [
      { user: { ...right.user, password: 'wrong' } },
      { user: { ...right.user, name: 'nobody' } },
      { project: { ...right.project, name: 'nowhere' } },
      { project: { ...right.project, domain: { id: 'nowhere' } } },
    ]) {
      const { user, project } = { ...right, ...change };
      const auth = { identity: { methods: ['password'], password: { user } }, scope: { project } };
      const reply = await cloud.request('POST', '/identity/v3/auth/tokens', { body: { auth } });
      expect(reply.json).toEqual({ error: { code: 401, message: words, title: 'Unauthorized' } });
    }
  });

  it('that a token has expired', async () => {
    const short = await openListening({ config: { token_lifetime_seconds: 1 } });
    try {
      const at = { OS_AUTH_URL: `${short.endpoint}/identity/v3` };
      const token = await short.cloud.adminToken();
      const expired = {
        ...at,
        OS_AUTH_TYPE: 'v3token',
        OS_TOKEN: token,
        OS_PROJECT_NAME: 'admin',
        OS_PROJECT_DOMAIN_ID: 'default',
      };
      await new Promise((resolve) => setTimeout(resolve, 1100));
      const { exitCode, stderr } = await openstack(expired, 'role', 'list');
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/HTTP 40[14]/);
    } finally {
      await short.cloud.close();
    }
  });

  it('no secret with --debug, and where requests go', async () => {
    const { exitCode, stdout, stderr } = await openstack(admin(), '--debug', 'role', 'show', 'reader');
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain(`REQ: curl -g -i -X GET ${endpoint}/identity/v3/roles/reader`);
    expect(stderr).toMatch(/used request id req-[0-9a-f-]{36}/);
    expect(`${stdout}${stderr}`).not.toContain(ADMIN_PASSWORD);
  });
});

describe('names', () => {
  it('may be of any script, hold spaces and slashes, and be long', async () => {
    for (const name of ['마루', 'Zoë', '東京', 'a/b', 'a?b=c&d', '100%', 'x'.repeat(64)]) {
      const made = await os.get(`project create "'${name}'"`);
      expect(made.name).toBe(name);
      expect(await os.get(`project show "'${name}'"`)).toMatchObject({ id: made.id });
      await os.run(`project delete ${made.id}`);
    }
    expect(await os.get(`project create "'two words'"`)).toMatchObject({ name: 'two words' });
    await os.run(`project delete "'two words'"`);
  });

  it('are refused when too long or empty', async () => {
    expect(await os.say(`project create ${'x'.repeat(65)}`)).toContain('HTTP 400');
    expect(await os.say(`user create ${'x'.repeat(256)}`)).toContain('HTTP 400');
    expect(await os.say(`role create ${'x'.repeat(256)}`)).toContain('HTTP 400');
    expect(await os.say(`project create "'  '"`)).toContain('HTTP 400');
  });
});

describe('authentication', () => {
  it('asks for a second factor where the user has rules, and takes it', async () => {
    await os.get('project create factors');
    const user = await os.get('user create --password secret-1 two-factor');
    await os.run('role add --user two-factor --project factors member');
    const secret = base32(Buffer.from(TOTP_KEY));
    await os.get(`credential create --type totp two-factor ${secret}`);
    await os.run('user set --multi-factor-auth-rule password,totp --enable-multi-factor-auth two-factor');
    const login = passwordSettings(endpoint, {
      username: 'two-factor',
      password: 'secret-1',
      project: 'factors',
    });
    const alone = await openstack(login, 'token', 'issue');
    expect(alone.exitCode).toBe(1);
    expect(alone.stderr).toMatch(/^Not all required auth rules were satisfied/);
    const file = join(directory, 'two-factor.yaml');
    const both = {
      auth_type: 'v3multifactor',
      auth_methods: ['v3password', 'v3totp'],
      auth: {
        auth_url: `${endpoint}/identity/v3`,
        username: 'two-factor',
        user_domain_id: 'default',
        password: 'secret-1',
        passcode: totp(Date.now()),
        project_name: 'factors',
        project_domain_id: 'default',
      },
    };
    writeFileSync(file, stringify({ clouds: { both } }));
    const issued = await openstack(
      { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'both' },
      'token',
      'issue',
      '-f',
      'json',
    );
    expect(JSON.parse(issued.stdout || '{}'), issued.stderr).toMatchObject({ user_id: user.id });
    await os.run('user delete two-factor', 'project delete factors');
  });
});

describe('openstacksdk and python-keystoneclient', () => {
  it('find what the command lacks, and large lists', async () => {
    await makeMany();
    const { exitCode, stdout, stderr } = await runClient(
      '/usr/bin/python3',
      ['test/support/clients/identity.py'],
      admin(),
    );
    expect(exitCode, stderr).toBe(0);
    const seen = JSON.parse(stdout);
    expect(seen).toMatchObject({
      assignments: [true],
      role_of_user: [true],
      email: 'sdk@example.org',
      found: true,
      missing: null,
      limit: [3, 2],
      tags: [true, ['three']],
      gone: [null, null],
      domain_config: [
        { identity: { driver: 'ldap' }, ldap: { url: 'ldap://127.0.0.1' } },
        { identity: { driver: 'ldap' }, ldap: { url: 'ldap://127.0.0.2' } },
      ],
      endpoint_policy: [true, [true]],
      token: ['admin', true],
      nocatalog: false,
      auth_projects: ['admin'],
      auth_domains: [],
      auth_systems: [true],
      events: true,
      by_name: ['many-999'],
    });
    expect(JSON.stringify(seen.domain_config)).not.toContain('hidden');
    const all = MANY + 1;
    expect(seen.users).toEqual([all, all]);
    expect(await os.get('user list')).toHaveLength(all);
  });
});

/** Users as rows: what hashes their passwords is not what is tried. */
async function makeMany(): Promise<void> {
  const { app } = cloud;
  await app.identity.write(async (tx) => {
    const [pattern] = await users.list(tx);
    for (let i = 0; i < MANY; i++) {
      const id = i.toString(16).padStart(32, '0');
      await users.insert(tx, { ...pattern!, id, name: `many-${i}`, password_hash: null });
    }
  });
}

/** RFC 6238 with Keystone's parameters: HMAC-SHA-1, 30 seconds, 6 digits. */
function totp(now: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const digest = createHmac('sha1', TOTP_KEY).update(counter).digest();
  const offset = digest[19]! & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const digits = bits.match(/.{5}/g) ?? [];
  return digits.map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)]).join('');
}
