import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { findCredentials } from '../../../src/cli/credentials.js';
import { CliError } from '../../../src/cli/error.js';
import { thrown } from '../../support/thrown.js';

const URL = 'http://127.0.0.1:1/identity/v3';
const USER = { auth_url: URL, username: 'anna', password: 'secret', project_name: 'web' };

describe('credentials of the command line', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-credentials-'));
  const file = join(directory, 'clouds.yaml');
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const inFile = (auth: object, more: object = {}, env: NodeJS.ProcessEnv = {}) => {
    writeFileSync(file, stringify({ clouds: { one: { auth, ...more } } }));
    return findCredentials({ OS_CLIENT_CONFIG_FILE: file, ...env });
  };
  const inEnvironment = (settings: Readonly<Record<string, string>>) =>
    findCredentials(
      Object.fromEntries(Object.entries(settings).map(([key, value]) => [`OS_${key.toUpperCase()}`, value])),
    );

  const user = (more: object) => ({
    methods: ['password'],
    password: { user: { password: 'secret', ...more } },
  });
  const { project_name: _, ...noProject } = USER;
  const { username: __, ...noName } = USER;
  const named = { name: 'anna', domain: { id: 'default' } };
  const web = { project: { name: 'web', domain: { id: 'default' } } };

  const cases: readonly (readonly [
    what: string,
    settings: Readonly<Record<string, string>>,
    auth: object,
  ])[] = [
    ['a password and a project', USER, { identity: user(named), scope: web }],
    [
      'domains by name',
      { ...USER, user_domain_name: 'people', project_domain_name: 'things' },
      {
        identity: user({ name: 'anna', domain: { name: 'people' } }),
        scope: { project: { name: 'web', domain: { name: 'things' } } },
      },
    ],
    [
      'domains by id, which go before names',
      { ...USER, user_domain_id: 'd1', user_domain_name: 'x', project_domain_id: 'd2' },
      {
        identity: user({ name: 'anna', domain: { id: 'd1' } }),
        scope: { project: { name: 'web', domain: { id: 'd2' } } },
      },
    ],
    [
      'one domain for both',
      { ...USER, domain_name: 'acme' },
      {
        identity: user({ name: 'anna', domain: { name: 'acme' } }),
        scope: { project: { name: 'web', domain: { name: 'acme' } } },
      },
    ],
    [
      'ids',
      { ...noName, user_id: 'u1', project_id: 'p1' },
      { identity: user({ id: 'u1' }), scope: { project: { id: 'p1' } } },
    ],
    [
      'a domain',
      { ...noProject, domain_id: 'd1' },
      { identity: user(named), scope: { domain: { id: 'd1' } } },
    ],
    [
      'the system',
      { ...noProject, system_scope: 'all' },
      { identity: user(named), scope: { system: { all: true } } },
    ],
    [
      'a trust',
      { ...noProject, trust_id: 't1' },
      { identity: user(named), scope: { 'OS-TRUST:trust': { id: 't1' } } },
    ],
    [
      'an application credential',
      {
        auth_url: URL,
        auth_type: 'v3applicationcredential',
        application_credential_id: 'a1',
        application_credential_secret: 's',
      },
      {
        identity: { methods: ['application_credential'], application_credential: { id: 'a1', secret: 's' } },
      },
    ],
    [
      'an application credential by its name and user, without a type',
      {
        ...{ auth_url: URL, application_credential_name: 'night', application_credential_secret: 's' },
        ...{ username: 'anna', user_domain_name: 'people' },
      },
      {
        identity: {
          methods: ['application_credential'],
          application_credential: {
            name: 'night',
            secret: 's',
            user: { name: 'anna', domain: { name: 'people' } },
          },
        },
      },
    ],
    [
      'a token for a project',
      { auth_url: URL, auth_type: 'v3token', token: 't', project_id: 'p1' },
      { identity: { methods: ['token'], token: { id: 't' } }, scope: { project: { id: 'p1' } } },
    ],
    [
      'a passcode',
      { ...USER, auth_type: 'v3totp', passcode: '123456' },
      { identity: { methods: ['totp'], totp: { user: { passcode: '123456', ...named } } }, scope: web },
    ],
    [
      'two factors',
      { ...USER, auth_type: 'v3multifactor', auth_methods: 'v3password,v3totp', passcode: '123456' },
      {
        identity: {
          ...{ methods: ['password', 'totp'], totp: { user: { passcode: '123456', ...named } } },
          password: { user: { password: 'secret', ...named } },
        },
        scope: web,
      },
    ],
  ];

  it.each(cases)(
    'are understood in files and variables: %s',
    (_what, { auth_type, auth_methods, ...auth }, wanted) => {
      const more = { auth_type, auth_methods: auth_methods?.split(',') };
      expect(
        inFile({ ...auth, ...(auth_methods && { auth_methods: more.auth_methods }) }, { auth_type }).auth,
      ).toEqual(wanted);
      const all = { ...auth, ...(auth_type && { auth_type }), ...(auth_methods && { auth_methods }) };
      expect(inEnvironment(all).auth).toEqual(wanted);
    },
  );

  it('use a token as it is where no scope is named, and take typed secrets from the environment', () => {
    expect(inEnvironment({ auth_url: URL, token: 't' })).toMatchObject({ auth: null, token: 't' });
    const { password: ___, ...rest } = USER;
    const typed = inFile(rest, {}, { OS_PASSWORD: 'typed' });
    expect(typed.auth?.identity).toEqual({
      methods: ['password'],
      password: { user: { ...named, password: 'typed' } },
    });
    expect(inFile({ ...USER, password: 123456 }).auth).toMatchObject({
      identity: { password: { user: { password: '123456' } } },
    });
    const asked = { auth_type: 'v3token' };
    expect(inFile({ auth_url: URL }, asked, { OS_TOKEN: 'typed' })).toMatchObject({ token: 'typed' });
  });

  it('take nothing from the environment that a cloud of a file does not ask for', () => {
    const left = { OS_TOKEN: 'of another cloud', OS_PASSWORD: 'of another user', OS_PASSCODE: '123456' };
    const { password: ___, ...unkept } = USER;
    expect(() => inFile(unkept, {}, { OS_TOKEN: left.OS_TOKEN })).toThrow(/cloud one: password is missing/);
    expect(inFile({ auth_url: URL, token: 't' }, {}, left)).toMatchObject({ auth: null, token: 't' });
    const password = inFile(USER, {}, left);
    expect(password.auth).toEqual({ identity: user(named), scope: web });
    const credential = { application_credential_id: 'a1', application_credential_secret: 's' };
    const of = inFile({ auth_url: URL, ...credential }, {}, left);
    for (const { settings } of [password, of])
      expect(Object.values(settings)).not.toContain('of another cloud');
    expect(of.auth?.identity).toMatchObject({ methods: ['application_credential'] });
  });

  it.each([
    ['an indicator of YAML', 'password: @hidden', 'line 6, column 17: not YAML (BAD_SCALAR_START)'],
    ['an alias', 'password: *hidden', 'line 6, column 17: not YAML (BAD_ALIAS)'],
    ['a block of text', 'password: |hidden', 'line 6, column 18: not YAML (UNEXPECTED_TOKEN)'],
    ['a template', 'password: {{ hidden }}', 'password is missing'],
    ['no space behind a colon', '{password:hidden}', /does not understand a key without a value/],
  ])('do not say a secret that cannot be read: %s', (_what, line, message) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const auth = line.startsWith('{')
      ? `    auth: {auth_url: "${URL}", ${line.slice(1)}`
      : `    auth:\n      auth_url: ${URL}\n      username: anna\n      ${line}`;
    writeFileSync(file, `clouds:\n  one:\n${auth}\n`);
    const error = thrown(() => findCredentials({ OS_CLIENT_CONFIG_FILE: file }));
    expect(error).toBeInstanceOf(CliError);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(file) });
    expect(error.message).toMatch(message);
    expect(`${error.stack} ${JSON.stringify(warned.mock.calls)}`).not.toContain('hidden');
    warned.mockRestore();
  });

  it.each([
    [
      'a type of authentication',
      { ...USER },
      { auth_type: 'v3oidcpassword' },
      "maru does not understand 'v3oidcpassword'; it understands password,",
    ],
    [
      'a factor',
      { ...USER, auth_methods: ['v3password', 'v3kerberos'] },
      { auth_type: 'v3multifactor' },
      "maru does not understand 'v3kerberos'",
    ],
    [
      'what is missing',
      { auth_url: URL, user: 'anna', password: 'x' },
      {},
      /cloud one: username is missing; maru does not understand user$/,
    ],
    ['a scope that is missing', noProject, {}, /project_name is missing \(or another scope: project_id, /],
    [
      'several scopes',
      { ...USER, system_scope: 'all' },
      {},
      /project_name and .*system_scope are several scopes/,
    ],
    ['a part of the system', { ...noProject, system_scope: 'some' }, {}, "only 'all' is a scope"],
    [
      'a scope beside an application credential',
      {
        auth_url: URL,
        application_credential_id: 'a',
        application_credential_secret: 's',
        project_name: 'web',
      },
      { auth_type: 'v3applicationcredential' },
      /cloud one: project_name: an application credential is for its own project, .* leave it out/,
    ],
    [
      'the user of an application credential that is named',
      { auth_url: URL, application_credential_name: 'a', application_credential_secret: 's' },
      {},
      /username is missing \(or user_id/,
    ],
    [
      'no secret',
      { auth_url: URL, application_credential_id: 'a' },
      {},
      'application_credential_secret is missing',
    ],
    [
      'an authority that is not there',
      USER,
      { cacert: '/none.pem' },
      /cacert: \/none.pem cannot be read: there is no such file/,
    ],
  ] as const)('say what is wrong about %s', (_what, auth, more, message) => {
    expect(() => inFile(auth, more)).toThrow(message);
  });

  it('say that certificates are checked although they were told not to', () => {
    expect(inFile(USER, { verify: false }).unfollowed).toContain('always checks certificates');
    expect(inEnvironment({ ...USER, insecure: '1' }).unfollowed).toContain('cacert');
    expect(inFile(USER).unfollowed).toBeNull();
  });
});
