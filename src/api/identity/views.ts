import type { NamedRef } from '../../core/context.js';
import { expiryText } from '../../core/token/times.js';
import type { EndpointRow, RegionRow, ServiceRow } from '../../store/identity/catalog.js';
import type { AccessRuleRow, ApplicationCredentialRow } from '../../store/identity/delegations.js';
import type { LimitRow } from '../../store/identity/limits.js';
import type { ProjectRow } from '../../store/identity/projects.js';
import type { RoleRow } from '../../store/identity/roles.js';
import type { GroupRow, UserRow } from '../../store/identity/users.js';

/** Rows as Keystone shows them. `base` is the identity service's URL without the version. */
export function projectView(base: string, row: ProjectRow, tags: readonly string[]) {
  return {
    ...extras(row.extra),
    id: row.id,
    name: row.name,
    domain_id: row.domain_id || null,
    description: row.description,
    enabled: row.enabled === 1,
    parent_id: row.parent_id,
    is_domain: row.is_domain === 1,
    tags,
    options: parsed(row.options),
    links: self(base, 'projects', row.id),
  };
}

export function domainView(base: string, row: ProjectRow, tags: readonly string[]) {
  return {
    ...extras(row.extra),
    id: row.id,
    name: row.name,
    description: row.description,
    enabled: row.enabled === 1,
    tags,
    options: parsed(row.options),
    links: self(base, 'domains', row.id),
  };
}

export function userView(base: string, row: UserRow) {
  return {
    ...extras(row.extra),
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    enabled: row.enabled === 1,
    password_expires_at: expiryText(row.password_expires_at, ''),
    ...(row.default_project_id !== null && { default_project_id: row.default_project_id }),
    options: parsed(row.options),
    links: self(base, 'users', row.id),
  };
}

export function groupView(base: string, row: GroupRow) {
  return {
    ...extras(row.extra),
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    description: row.description,
    links: self(base, 'groups', row.id),
  };
}

export function roleView(base: string, row: RoleRow) {
  return {
    ...extras(row.extra),
    id: row.id,
    name: row.name,
    domain_id: row.domain_id || null,
    description: row.description,
    options: parsed(row.options),
    links: self(base, 'roles', row.id),
  };
}

export function limitView(base: string, row: LimitRow) {
  return {
    id: row.id,
    project_id: row.project_id || null,
    domain_id: row.domain_id || null,
    service_id: row.service_id,
    region_id: row.region_id || null,
    resource_name: row.resource_name,
    resource_limit: row.resource_limit,
    description: row.description,
    links: { self: `${base}/v3/limits/${row.id}` },
  };
}

export function regionView(base: string, row: RegionRow) {
  return {
    ...extras(row.extra),
    id: row.id,
    description: row.description,
    parent_region_id: row.parent_region_id,
    links: self(base, 'regions', row.id),
  };
}

export function serviceView(base: string, row: ServiceRow) {
  return {
    ...extras(row.extra),
    id: row.id,
    type: row.type,
    ...(row.name !== null && { name: row.name }),
    ...(row.description !== null && { description: row.description }),
    enabled: row.enabled === 1,
    links: self(base, 'services', row.id),
  };
}

export function endpointView(base: string, row: EndpointRow) {
  return {
    ...extras(row.extra),
    id: row.id,
    interface: row.interface,
    region_id: row.region_id,
    region: row.region_id,
    service_id: row.service_id,
    url: row.url,
    enabled: row.enabled === 1,
    links: self(base, 'endpoints', row.id),
  };
}

export function applicationCredentialView(
  base: string,
  row: ApplicationCredentialRow,
  roles: readonly NamedRef[],
  rules: readonly AccessRuleRow[],
) {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    user_id: row.user_id,
    project_id: row.project_id,
    system: null,
    roles: roles.map(({ id, name }) => ({ id, name, domain_id: null, description: null, options: {} })),
    expires_at: expiryText(row.expires_at, ''),
    unrestricted: row.unrestricted === 1,
    ...(row.access_rules !== null && { access_rules: rules.map(accessRuleFields) }),
    links: self(base, `users/${row.user_id}/application_credentials`, row.id),
  };
}

export function accessRuleView(base: string, row: AccessRuleRow) {
  return { ...accessRuleFields(row), links: self(base, `users/${row.user_id}/access_rules`, row.id) };
}

function accessRuleFields({ id, service, method, path }: AccessRuleRow) {
  return { id, service, method, path };
}

function self(base: string, collection: string, id: string) {
  return { self: `${base}/v3/${collection}/${id}` };
}

function extras(json: string): Record<string, unknown> {
  return parsed(json);
}

function parsed(json: string): Record<string, unknown> {
  return JSON.parse(json) as Record<string, unknown>;
}
