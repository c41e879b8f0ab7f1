import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_PASSWORD, type TestApp } from '../support/app.js';
import { OpenStackShell, openListening, passwordSettings } from '../support/openstack-shell.js';

/** Domains, projects, users, groups and roles with the stock openstack command. */

let cloud: TestApp;
let endpoint: string;
let os: OpenStackShell;

beforeAll(async () => {
  ({ cloud, endpoint } = await openListening());
  os = OpenStackShell.start(
    passwordSettings(endpoint, { username: 'admin', password: ADMIN_PASSWORD, project: 'admin' }),
  );
});
afterAll(async () => {
  await os?.close();
  await cloud?.close();
});

describe('openstack domain', () => {
  it('creates, shows, lists, changes and deletes', async () => {
    const made = await os.get('domain create --description "\'two words\'" d1');
    expect(made).toMatchObject({ name: 'd1', description: 'two words', enabled: true, options: {} });
    expect(made.id).toMatch(/^[0-9a-f]{32}$/);
    expect(await os.get('domain show d1')).toEqual(made);
    expect(await os.get(`domain show ${made.id}`)).toEqual(made);
    expect(await os.get('domain list')).toContainEqual({
      ID: made.id,
      Name: 'd1',
      Enabled: true,
      Description: 'two words',
    });
    await os.run('domain set --name d2 --description other --immutable d1');
    expect(await os.get('domain show d2')).toMatchObject({
      id: made.id,
      description: 'other',
      options: { immutable: true },
    });
    expect(await os.say('domain set --name d3 d2')).toContain('HTTP 403');
    await os.run('domain set --no-immutable d2');
    expect(await os.say('domain delete d2')).toContain('HTTP 403');
    expect(await os.get('domain list --enabled')).toContainEqual(expect.objectContaining({ Name: 'd2' }));
    await os.run('domain set --disable d2');
    expect(await os.get('domain list --enabled')).not.toContainEqual(expect.objectContaining({ Name: 'd2' }));
    await os.run('domain delete d2');
    expect(await os.say('domain show d2')).toContain('No domain with a name or ID of');
  });

  it('says what is wrong', async () => {
    await os.get('domain create twice');
    expect(await os.say('domain create twice')).toContain('HTTP 409');
    expect(await os.get('domain create --or-show twice')).toMatchObject({ name: 'twice' });
    await os.run('domain set --disable twice', 'domain delete twice');
  });
});

describe('openstack project', () => {
  it('creates with tags and properties, shows, lists, changes and deletes', async () => {
    const made = await os.get('project create --description first --tag red --tag blue --property team=a p1');
    expect(made).toMatchObject({
      name: 'p1',
      description: 'first',
      domain_id: 'default',
      parent_id: 'default',
      is_domain: false,
      enabled: true,
      team: 'a',
      tags: expect.arrayContaining(['red', 'blue']),
    });
    expect(await os.get('project show p1')).toEqual(made);
    expect(await os.get('project list --tags red,blue')).toEqual([{ ID: made.id, Name: 'p1' }]);
    expect(await os.get('project list --not-tags red --long')).not.toContainEqual(
      expect.objectContaining({ Name: 'p1' }),
    );
    await os.run('project set --name p2 --property team=b --remove-tag red p1', 'project set --tag green p2');
    expect(await os.get('project show p2')).toMatchObject({
      id: made.id,
      team: 'b',
      tags: ['blue', 'green'],
    });
    await os.run('project set --clear-tags --disable p2');
    expect(await os.get('project show p2')).toMatchObject({ enabled: false, tags: [] });
    expect(await os.say('project create p2')).toContain('HTTP 409');
    await os.run('project delete p2');
    expect(await os.say('project show p2')).toContain('No project with a name or ID of');
  });

  it('knows a hierarchy', async () => {
    const parent = await os.get('project create parent');
    const child = await os.get('project create --parent parent child');
    expect(child).toMatchObject({ parent_id: parent.id, domain_id: 'default' });
    expect(await os.get('project show --parents child')).toMatchObject({
      parents: { [parent.id]: { default: null } },
    });
    expect(await os.get('project show --children parent')).toMatchObject({
      subtree: { [child.id]: null },
    });
    expect(await os.get('project list --parent parent')).toEqual([{ ID: child.id, Name: 'child' }]);
    expect(await os.say('project delete parent')).toContain('HTTP 403');
    await os.run('project delete child parent');
  });
});

describe('openstack user and group', () => {
  it('creates, shows, lists, changes and deletes users', async () => {
    await os.get('project create home');
    const made = await os.get(
      'user create --project home --password secret-1 --email a@example.org --description someone u1',
    );
    expect(made).toMatchObject({
      name: 'u1',
      email: 'a@example.org',
      description: 'someone',
      domain_id: 'default',
      enabled: true,
      password_expires_at: null,
      options: {},
    });
    expect(JSON.stringify(made)).not.toContain('secret-1');
    expect(await os.get('user show u1')).toEqual(made);
    expect(await os.get('user list --long')).toContainEqual(
      expect.objectContaining({ ID: made.id, Name: 'u1', Email: 'a@example.org', Enabled: true }),
    );
    await os.run(
      'user set --name u2 --email b@example.org --ignore-lockout-failure-attempts --ignore-password-expiry u1',
      'user set --multi-factor-auth-rule password,totp --multi-factor-auth-rule password u2',
      'user set --enable-lock-password u2',
    );
    expect(await os.get('user show u2')).toMatchObject({
      email: 'b@example.org',
      options: {
        ignore_lockout_failure_attempts: true,
        ignore_password_expiry: true,
        multi_factor_auth_rules: [['password', 'totp'], ['password']],
        lock_password: true,
      },
    });
    await os.run('user set --disable u2');
    expect(await os.get('user show u2')).toMatchObject({ enabled: false });
    expect(await os.say('user create u2')).toContain('HTTP 409');
    await os.run('user delete u2', 'project delete home');
    expect(await os.say('user show u2')).toContain('No user with a name or ID of');
  });

  it('puts users into groups', async () => {
    const group = await os.get('group create --description friends g1');
    expect(group).toMatchObject({ name: 'g1', description: 'friends', domain_id: 'default' });
    const user = await os.get('user create --password secret-1 member1');
    await os.run('group add user g1 member1');
    expect(await os.say('group contains user g1 member1')).toBe('member1 in group g1');
    expect(await os.get('user list --group g1')).toEqual([{ ID: user.id, Name: 'member1' }]);
    expect(await os.get('group list --user member1')).toEqual([{ ID: group.id, Name: 'g1' }]);
    await os.run('group remove user g1 member1');
    expect(await os.say('group contains user g1 member1')).toBe('member1 not in group g1');
    await os.run('group set --name g2 --description others g1');
    expect(await os.get('group show g2')).toMatchObject({ id: group.id, description: 'others' });
    expect(await os.get('group list --domain default')).toContainEqual({ ID: group.id, Name: 'g2' });
    await os.run('group delete g2', 'user delete member1');
    expect(await os.say('group show g2')).toContain('No group with a name or ID of');
  });

  it('lets users change their password', async () => {
    await os.get('project create own');
    await os.get('user create --project own --password old-secret changing');
    await os.run('role add --user changing --project own member');
    const login = { username: 'changing', project: 'own' };
    const before = OpenStackShell.start(passwordSettings(endpoint, { ...login, password: 'old-secret' }));
    const after = OpenStackShell.start(passwordSettings(endpoint, { ...login, password: 'new-secret' }));
    try {
      expect(await before.say('user password set --original-password wrong --password x')).toContain(
        'HTTP 401',
      );
      await before.run('user password set --original-password old-secret --password new-secret');
      // the token that the change was made with is void, and so is the password
      expect(await before.say('user show changing')).toContain('HTTP 401');
      expect(await after.get('token issue')).toMatchObject({
        user_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      });
    } finally {
      await Promise.all([before.close(), after.close()]);
    }
    await os.run('user delete changing', 'project delete own');
  });
});

describe('openstack role', () => {
  it('creates, shows, lists, changes and deletes', async () => {
    const made = await os.get('role create --description does r1');
    expect(made).toMatchObject({ name: 'r1', description: 'does', domain_id: null, options: {} });
    expect(await os.get('role list')).toContainEqual({ ID: made.id, Name: 'r1' });
    await os.run('role set --name r2 --immutable r1');
    expect(await os.get('role show r2')).toMatchObject({ id: made.id, options: { immutable: true } });
    expect(await os.say('role delete r2')).toContain('HTTP 403');
    await os.run('role set --no-immutable r2', 'role delete r2');
    expect(await os.say('role show r2')).toContain('No role with a name or ID of');
  });

  it('belongs to a domain', async () => {
    const domain = await os.get('domain create roles');
    const made = await os.get('role create --domain roles local');
    expect(made).toMatchObject({ domain_id: domain.id });
    expect(await os.get('role list --domain roles')).toEqual([
      expect.objectContaining({ ID: made.id, Name: 'local' }),
    ]);
    expect(await os.get('role list')).not.toContainEqual(expect.objectContaining({ Name: 'local' }));
    await os.run('role delete --domain roles local', 'domain set --disable roles', 'domain delete roles');
  });

  it('implies others', async () => {
    const [prior, implied] = [await os.get('role create prior'), await os.get('role create implied')];
    expect(await os.get('implied role create --implied-role implied prior')).toEqual({
      implies: implied.id,
      prior_role: prior.id,
    });
    expect(await os.get('implied role list')).toContainEqual({
      'Prior Role ID': prior.id,
      'Prior Role Name': 'prior',
      'Implied Role ID': implied.id,
      'Implied Role Name': 'implied',
    });
    await os.run('implied role delete --implied-role implied prior', 'role delete prior implied');
  });

  it('is assigned on projects, domains and the system, to users and groups, inherited or not', async () => {
    await os.get('domain create assigned');
    await os.get('project create --domain assigned sub');
    await os.get('user create --domain assigned --password secret-1 who');
    await os.get('group create --domain assigned them');
    const user = '--user who --user-domain assigned';
    const group = '--group them --group-domain assigned';
    const project = '--project sub --project-domain assigned';
    const grants = [
      `${user} ${project} member`,
      `${group} ${project} reader`,
      `${user} --domain assigned manager`,
      `${group} --domain assigned --inherited member`,
      `${user} --system all reader`,
    ];
    await os.run('group add user --group-domain assigned --user-domain assigned them who');
    await os.run(...grants.map((grant) => `role add ${grant}`));
    const row = (role: string, more: object) => ({
      Role: role,
      User: '',
      Group: '',
      Project: '',
      Domain: '',
      System: '',
      Inherited: false,
      ...more,
    });
    const listed = await os.get('role assignment list --names');
    const [asUser, asGroup] = [{ User: 'who@assigned' }, { Group: 'them@assigned' }];
    for (const expected of [
      row('member', { ...asUser, Project: 'sub@assigned' }),
      row('reader', { ...asGroup, Project: 'sub@assigned' }),
      row('manager', { ...asUser, Domain: 'assigned' }),
      row('member', { ...asGroup, Domain: 'assigned', Inherited: true }),
      row('reader', { ...asUser, System: 'all' }),
    ])
      expect(listed).toContainEqual(expected);
    const effective = await os.get(`role assignment list --names --effective ${user} ${project}`);
    const roles = new Set(effective.map(({ Role }: { Role: string }) => Role));
    expect(roles).toEqual(new Set(['member', 'reader']));
    expect(await os.get('role assignment list --system all --role reader')).toHaveLength(1);
    await os.run(...grants.map((grant) => `role remove ${grant}`));
    expect(await os.get(`role assignment list ${user}`)).toEqual([]);
    expect(await os.say(`role remove ${grants[0]}`)).toContain('HTTP 404');
    await os.run('domain set --disable assigned', 'domain delete assigned');
    // what belonged to the domain went with it
    expect(await os.say('user show --domain default who')).toContain('No user with a name or ID of');
  });
});
