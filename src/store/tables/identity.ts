import type { Generated } from 'kysely';

/** A project, or a domain, which is a project that contains others (`is_domain`). */
export interface ProjectTable {
  id: string;
  name: string;
  /** Owning domain; empty for a domain itself, so that domain names are unique among domains. */
  domain_id: string;
  parent_id: string | null;
  is_domain: number;
  enabled: number;
  description: string;
  /** JSON of options such as `immutable`. */
  options: string;
  /** JSON of attributes that clients made up; answered as they were given. */
  extra: string;
}

export interface ProjectTagTable {
  project_id: string;
  name: string;
}

export interface UserTable {
  id: string;
  name: string;
  domain_id: string;
  enabled: number;
  default_project_id: string | null;
  options: string;
  extra: string;
  /** Argon2 hash; null: the user cannot authenticate with a password. */
  password_hash: string | null;
  password_changed_at: string | null;
  password_expires_at: string | null;
  /** 1: the user chose the password; 0: an administrator gave it. */
  password_self_service: Generated<number>;
  created_at: Generated<string | null>;
}

export interface GroupTable {
  id: string;
  name: string;
  domain_id: string;
  description: string;
  extra: string;
}

export interface GroupMemberTable {
  group_id: string;
  user_id: string;
}

export interface RoleTable {
  id: string;
  name: string;
  /** Empty for roles of the whole cloud. */
  domain_id: string;
  description: string | null;
  options: string;
  extra: string;
}

/** Who has the prior role has the implied one too. */
export interface ImpliedRoleTable {
  prior_role_id: string;
  implied_role_id: string;
}

export type ActorType = 'user' | 'group';
export type TargetType = 'project' | 'domain' | 'system';

/** A grant. The target of a system grant is `all`; an inherited grant holds for the projects below its target. */
export interface RoleAssignmentTable {
  actor_type: ActorType;
  actor_id: string;
  target_type: TargetType;
  target_id: string;
  role_id: string;
  inherited: number;
}

export interface RegionTable {
  id: string;
  description: string;
  parent_region_id: string | null;
  extra: string;
}

export interface ServiceTable {
  id: string;
  type: string;
  name: string | null;
  description: string | null;
  enabled: number;
  extra: string;
}

export interface EndpointTable {
  id: string;
  service_id: string;
  region_id: string | null;
  interface: string;
  /** May hold `%(project_id)s` or `$(project_id)s`. */
  url: string;
  enabled: number;
  extra: string;
}

/** Tokens that are refused although they have not expired: those of the subject issued before the write, `issued_until` by its clock. */
export interface RevocationTable {
  seq: Generated<number>;
  kind: 'token' | 'user' | 'project' | 'domain';
  subject: string;
  issued_until: string;
  /** When the last such token has expired and the row can go. */
  expires_at: string;
  /** The number of identity's writes as this one raised it; 0: not known, `issued_until` counts. */
  epoch: Generated<number>;
}

/** One row: a counter that rises with every change that tokens depend on. */
export interface IdentityEpochTable {
  id: number;
  value: number;
}

export interface ApplicationCredentialTable {
  id: string;
  user_id: string;
  project_id: string;
  name: string;
  description: string | null;
  secret_hash: string;
  /** JSON list of role ids. */
  roles: string;
  /** JSON list of access rule ids; null: no rules, everything is allowed. */
  access_rules: string | null;
  unrestricted: number;
  expires_at: string | null;
  created_at: string;
}

/** A request that tokens of an application credential may make. */
export interface AccessRuleTable {
  id: string;
  user_id: string;
  service: string;
  method: string;
  path: string;
}

/** A secret of a user, such as an EC2 key pair. */
export interface CredentialTable {
  id: string;
  user_id: string;
  project_id: string | null;
  type: string;
  /** Sealed (see core/identity/sealing.ts). */
  blob: string;
}

/** What a trustor lets a trustee do in a project. */
export interface TrustTable {
  id: string;
  trustor_user_id: string;
  trustee_user_id: string;
  project_id: string | null;
  impersonation: number;
  /** JSON list of role ids. */
  roles: string;
  expires_at: string | null;
  /** Tokens that may still be issued; null: any number. */
  remaining_uses: number | null;
  /** The trust by whose token this one was made. */
  redelegated_trust_id: string | null;
  /** How often what it gives may be handed on. */
  redelegation_count: number;
  deleted_at: string | null;
}

/** A policy document that services may fetch; identity only keeps it. */
export interface PolicyTable {
  id: string;
  type: string;
  blob: string;
  extra: string;
}

/** Endpoints chosen by what they have in common. */
export interface EndpointGroupTable {
  id: string;
  name: string;
  description: string | null;
  /** JSON: values that service_id, region_id and interface of an endpoint must have. */
  filters: string;
}

/** A project whose catalogue has only the endpoints and endpoint groups associated with it. */
export interface ProjectEndpointTable {
  project_id: string;
  kind: 'endpoint' | 'endpoint_group';
  target_id: string;
}

export interface IdentityTables {
  project: ProjectTable;
  project_tag: ProjectTagTable;
  user: UserTable;
  group: GroupTable;
  group_member: GroupMemberTable;
  role: RoleTable;
  implied_role: ImpliedRoleTable;
  role_assignment: RoleAssignmentTable;
  region: RegionTable;
  service: ServiceTable;
  endpoint: EndpointTable;
  revocation: RevocationTable;
  identity_epoch: IdentityEpochTable;
  application_credential: ApplicationCredentialTable;
  access_rule: AccessRuleTable;
  credential: CredentialTable;
  trust: TrustTable;
  policy: PolicyTable;
  endpoint_group: EndpointGroupTable;
  project_endpoint: ProjectEndpointTable;
}
