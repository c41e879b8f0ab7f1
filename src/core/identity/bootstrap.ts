import { randomUUID } from 'node:crypto';
import { endpoints, regions, services } from '../../store/identity/catalog.js';
import { findProject, projects } from '../../store/identity/projects.js';
import { addAssignment, addImplication, findRole, roles } from '../../store/identity/roles.js';
import { readSetting, writeSetting } from '../../store/identity/tokens.js';
import { findUser, users } from '../../store/identity/users.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { firstAdminPassword } from './admin-password.js';
import { hashPassword } from './passwords.js';

/** Services by mount point, with the entries that each has in the catalogue. */
const CATALOG: Readonly<Record<string, readonly { type: string; name: string; path: string }[]>> = {
  identity: [{ type: 'identity', name: 'keystone', path: '/identity/v3' }],
  compute: [{ type: 'compute', name: 'nova', path: '/compute/v2.1' }],
  network: [{ type: 'network', name: 'neutron', path: '/network' }],
  image: [{ type: 'image', name: 'glance', path: '/image' }],
  volume: [
    { type: 'volumev3', name: 'cinderv3', path: '/volume/v3/%(project_id)s' },
    { type: 'block-storage', name: 'cinder', path: '/volume/v3/%(project_id)s' },
  ],
  placement: [{ type: 'placement', name: 'placement', path: '/placement' }],
};

/** Each implies the next. */
const ROLE_CHAIN = ['admin', 'manager', 'member', 'reader'] as const;
const FIRST_START = 'identity.bootstrapped';
const KNOWN_SERVICES = 'identity.catalog_services';
const PUBLIC_URL = 'identity.public_url';

/**
 * Makes what a cloud begins with: domain `default`, project, user and role `admin`, the other roles, and the catalogue of the
 * mounted services. Later starts only add services mounted since, and move endpoints when `public_url` was changed; what an
 * administrator edited or removed stays so.
 */
export async function bootstrapIdentity(app: App, mounted: readonly string[]): Promise<void> {
  const first = !(await isBootstrapped(app.store.read));
  const passwordHash = first ? await hashPassword(firstAdminPassword(app.config.admin_password_file)) : null;
  await app.identity.write(async (tx) => {
    if (passwordHash !== null && !(await isBootstrapped(tx))) {
      await ensureAdministrator(tx, 'admin', passwordHash);
      await writeSetting(tx, FIRST_START, nowText());
    }
    await moveEndpoints(tx, app.config.public_url);
    await addServices(tx, app, mounted);
  });
}

/** True once a controller has made what a cloud begins with. */
export async function isBootstrapped(db: Reader): Promise<boolean> {
  return (await readSetting(db, FIRST_START)) !== undefined;
}

/**
 * Makes what is missing of: domain `default`, project `admin`, the built-in roles and what each implies, a user of that name with that
 * password, and its role `admin` on the project and the system. What is there stays as it is.
 */
export async function ensureAdministrator(
  tx: Tx,
  name: string,
  passwordHash: string,
): Promise<{ readonly userId: string; readonly projectId: string }> {
  const empty = { enabled: 1, description: '', options: '{}', extra: '{}' };
  if (!(await projects.get(tx, 'default'))) {
    await projects.insert(tx, {
      ...empty,
      id: 'default',
      name: 'Default',
      description: 'The default domain',
      domain_id: '',
      parent_id: null,
      is_domain: 1,
    });
  }
  const projectId = (await findProject(tx, 'default', 'admin'))?.id ?? newId();
  if (!(await projects.get(tx, projectId))) {
    await projects.insert(tx, {
      ...empty,
      id: projectId,
      name: 'admin',
      description: 'The administrators’ project',
      domain_id: 'default',
      parent_id: 'default',
      is_domain: 0,
    });
  }
  const userId = (await findUser(tx, 'default', name))?.id ?? newId();
  if (!(await users.get(tx, userId))) {
    await users.insert(tx, {
      id: userId,
      name,
      domain_id: 'default',
      enabled: 1,
      default_project_id: null,
      options: '{}',
      extra: '{}',
      password_hash: passwordHash,
      password_changed_at: nowText(),
      password_expires_at: null,
      created_at: nowText(),
    });
  }
  const roleIds = new Map<string, string>();
  for (const role of [...ROLE_CHAIN, 'service']) roleIds.set(role, await ensureRole(tx, role));
  for (const [i, prior] of ROLE_CHAIN.slice(0, -1).entries()) {
    await addImplication(tx, roleIds.get(prior)!, roleIds.get(ROLE_CHAIN[i + 1]!)!);
  }
  const grant = {
    actor_type: 'user',
    actor_id: userId,
    role_id: roleIds.get('admin')!,
    inherited: 0,
  } as const;
  await addAssignment(tx, { ...grant, target_type: 'project', target_id: projectId });
  await addAssignment(tx, { ...grant, target_type: 'system', target_id: 'all' });
  return { userId, projectId };
}

async function ensureRole(tx: Tx, name: string): Promise<string> {
  const found = await findRole(tx, name);
  if (found) return found.id;
  const id = newId();
  // the policies of all services build on these names
  const options = '{"immutable":true}';
  await roles.insert(tx, { id, name, domain_id: '', description: null, options, extra: '{}' });
  return id;
}

/** Endpoints made for another public URL follow it; those that an administrator pointed elsewhere do not. */
async function moveEndpoints(tx: Tx, publicUrl: string): Promise<void> {
  const before = await readSetting(tx, PUBLIC_URL);
  if (before === publicUrl) return;
  if (before !== undefined) {
    for (const endpoint of await endpoints.list(tx)) {
      if (!endpoint.url.startsWith(`${before}/`)) continue;
      await endpoints.update(tx, endpoint.id, { url: publicUrl + endpoint.url.slice(before.length) });
    }
  }
  await writeSetting(tx, PUBLIC_URL, publicUrl);
}

async function addServices(tx: Tx, app: App, mounted: readonly string[]): Promise<void> {
  const known = new Set(JSON.parse((await readSetting(tx, KNOWN_SERVICES)) ?? '[]') as string[]);
  const added = mounted.filter((name) => CATALOG[name] && !known.has(name));
  if (added.length === 0) return;
  const { region, public_url } = app.config;
  if (!(await regions.get(tx, region))) {
    await regions.insert(tx, { id: region, description: '', parent_region_id: null, extra: '{}' });
  }
  for (const { type, name, path } of added.flatMap((service) => CATALOG[service]!)) {
    const serviceId = newId();
    await services.insert(tx, { id: serviceId, type, name, description: '', enabled: 1, extra: '{}' });
    for (const side of ['public', 'internal', 'admin']) {
      await endpoints.insert(tx, {
        id: newId(),
        service_id: serviceId,
        region_id: region,
        interface: side,
        url: public_url + path,
        enabled: 1,
        extra: '{}',
      });
    }
  }
  await writeSetting(tx, KNOWN_SERVICES, JSON.stringify([...known, ...added]));
}

/** An id as Keystone makes them: a UUID without dashes. */
function newId(): string {
  return randomUUID().replaceAll('-', '');
}
