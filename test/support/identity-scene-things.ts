import { randomUUID } from 'node:crypto';
import { accessRules, applicationCredentials } from '../../src/store/identity/delegations.js';
import { nowText } from '../../src/store/store.js';
import { PERSONAS, type Persona, type Place } from '../api/identity-personas.table.js';
import type { IdentityScene, Subjects } from './identity-scene.js';

/** Which group and option of a domain's configuration requests are about. */
const CONFIG = { ldap: { url: 'ldap://scene' } };

/**
 * Adds to the scene what requests about grants, catalogue, policies, configuration and delegations are about, so that each finds
 * something. Gives the subjects with the ids of these besides.
 */
export async function withThings(
  scene: IdentityScene,
): Promise<(place: Place, persona: Persona) => Subjects> {
  const ask = async (method: string, path: string, body?: unknown) => {
    const reply = await scene.call(method, path, body);
    if (reply.status >= 400) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return reply.json;
  };
  const make = async (kind: string, values: object, under = '') =>
    (await ask('POST', `${under}/${kind}s`, { [kind]: values }))[kind].id as string;

  const common = scene.subjects('own', 'admin');
  const { service, region, endpoint, role } = common;
  const policy = (await ask('POST', '/policies', { policy: { type: 'text', blob: 'x' } })).policy
    .id as string;
  const group = await make(
    'endpoint_group',
    { name: 'scene', filters: { interface: 'public' } },
    '/OS-EP-FILTER',
  );
  const things = {
    policy,
    endpoint_group: group,
    consumer: await make('consumer', {}, '/OS-OAUTH1'),
    // apart from the others: who may do something on the system may do more than managers of domains can grant
    system_user: await make('user', { name: 'of the system' }),
    system_group: await make('group', { name: 'of the system' }),
    config_group: 'ldap',
    config_option: 'url',
    compliance_option: 'password_regex',
  };
  await ask('PUT', `/system/users/${things.system_user}/roles/${role}`);
  await ask('PUT', `/system/groups/${things.system_group}/roles/${role}`);
  await ask('PUT', `/roles/${common.prior_role}/implies/${common.implied_role}`);
  for (const what of [
    `endpoints/${endpoint}`,
    `services/${service}`,
    `services/${service}/regions/${region}`,
  ]) {
    await ask('PUT', `/policies/${policy}/OS-ENDPOINT-POLICY/${what}`);
  }

  const rows = { own: {}, other: {} } as Record<'own' | 'other', Readonly<Record<string, string>>>;
  for (const place of ['own', 'other'] as const) {
    const { domain, project, user, group: members } = scene.subjects(place, 'admin');
    for (const actor of [`users/${user}`, `groups/${members}`]) {
      for (const target of [`projects/${project}`, `domains/${domain}`]) {
        await ask('PUT', `/${target}/${actor}/roles/${role}`);
        await ask('PUT', `/OS-INHERIT/${target}/${actor}/roles/${role}/inherited_to_projects`);
      }
    }
    await ask('PUT', `/OS-EP-FILTER/projects/${project}/endpoints/${endpoint}`);
    await ask('PUT', `/OS-EP-FILTER/endpoint_groups/${group}/projects/${project}`);
    await ask('PUT', `/domains/${domain}/config`, { config: CONFIG });
    rows[place] = await delegated(scene, user!, project!, role!);
  }
  const selves = {} as Record<Persona, Readonly<Record<string, string>>>;
  for (const persona of PERSONAS) {
    const { user, project } = scene.subjects('self', persona);
    selves[persona] = await delegated(scene, user!, project!, role!);
  }
  return (place, persona) => ({
    ...scene.subjects(place, persona),
    ...things,
    ...(place === 'self' ? selves[persona] : rows[place]),
  });
}

/** An application credential with an access rule: as rows, since most personas have no role on a project with which to make one. */
async function delegated({ cloud }: IdentityScene, user_id: string, project_id: string, role: string) {
  const [rule, credential] = [randomUUID(), randomUUID()].map((id) => id.replaceAll('-', ''));
  await cloud.app.store.tx(async (tx) => {
    await accessRules.insert(tx, {
      id: rule!,
      user_id,
      service: 'identity',
      method: 'GET',
      path: '/v3/users',
    });
    await applicationCredentials.insert(tx, {
      ...{ id: credential!, name: 'scene', description: null, secret_hash: 'none', user_id, project_id },
      ...{
        roles: JSON.stringify([role]),
        access_rules: JSON.stringify([rule]),
        expires_at: null,
        unrestricted: 0,
        created_at: nowText(),
      },
    });
  });
  return { application_credential: credential!, access_rule: rule! };
}
