/**
 * Who may do what in identity, written down from the defaults of Keystone's policies and not from ours: each operation by
 * its policy's name, and who is let through when it is about the caller's own domain and project, about others', and about
 * the caller itself.
 */
export const PERSONAS = [
  'admin',
  'system-admin',
  'system-reader',
  'domain-admin',
  'domain-manager',
  'domain-member',
  'domain-reader',
  'project-manager',
  'project-member',
  'project-reader',
  'service',
  'unscoped',
] as const;

export type Persona = (typeof PERSONAS)[number];
export type Place = 'own' | 'other' | 'self';

/** Who is let through. Without `self` it makes no difference whether it is about the caller. */
export interface Allowed {
  readonly own: readonly Persona[];
  readonly other: readonly Persona[];
  readonly self?: readonly Persona[];
}

const CLOUD = ['admin', 'system-admin'] as const;
const CLOUD_READERS = [...CLOUD, 'system-reader'] as const;
const ADMINS = [...CLOUD, 'domain-admin'] as const;
const READERS = [...ADMINS, 'system-reader'] as const;
const IN_DOMAIN = ['domain-manager', 'domain-member', 'domain-reader'] as const;
const IN_PROJECT = ['project-manager', 'project-member', 'project-reader', 'service'] as const;
const MEMBERS = ['domain-manager', 'domain-member', 'project-manager', 'project-member'] as const;

const everywhere = (...who: readonly Persona[]): Allowed => ({ own: who, other: who });

/** Groups of operations with the same answer. */
const GROUPS: readonly (readonly [Allowed, string])[] = [
  [
    everywhere(...PERSONAS),
    `get_auth_catalog get_auth_projects get_auth_domains get_auth_system list_regions get_region get_limit_model list_limits
     list_registered_limits get_registered_limit list_credentials get_security_compliance_domain_config`,
  ],
  [
    everywhere(...CLOUD),
    `create_domain update_domain delete_domain create_role update_role delete_role create_implied_role delete_implied_role
     create_region update_region delete_region create_service update_service delete_service create_endpoint update_endpoint
     delete_endpoint create_policy update_policy delete_policy create_registered_limits update_registered_limit
     delete_registered_limit create_limits update_limit delete_limit create_endpoint_group update_endpoint_group
     delete_endpoint_group add_endpoint_to_project remove_endpoint_from_project add_endpoint_group_to_project
     remove_endpoint_group_from_project create_system_grant_for_user revoke_system_grant_for_user
     create_system_grant_for_group revoke_system_grant_for_group create_domain_config update_domain_config
     delete_domain_config create_consumer update_consumer delete_consumer create_policy_association_for_endpoint
     delete_policy_association_for_endpoint create_policy_association_for_service delete_policy_association_for_service
     create_policy_association_for_region_and_service delete_policy_association_for_region_and_service`,
  ],
  [
    everywhere(...CLOUD_READERS),
    `list_implied_roles get_implied_role check_implied_role list_role_inference_rules list_services get_service
     list_endpoints get_endpoint list_policies get_policy list_endpoint_groups get_endpoint_group
     list_projects_associated_with_endpoint_group list_endpoints_associated_with_endpoint_group
     get_endpoint_group_in_project list_endpoint_groups_for_project list_projects_for_endpoint check_endpoint_in_project
     list_endpoints_for_project list_system_grants_for_user check_system_grant_for_user list_system_grants_for_group
     check_system_grant_for_group get_domain_config get_domain_config_default get_consumer list_consumers
     check_policy_association_for_endpoint check_policy_association_for_service
     check_policy_association_for_region_and_service get_policy_for_endpoint list_endpoints_for_policy`,
  ],
  // lists are confined to the domain of the token, whatever they ask for
  [
    everywhere(...READERS, ...IN_DOMAIN),
    'list_domains list_projects list_users list_groups list_role_assignments',
  ],
  [everywhere(...READERS, 'domain-manager'), 'list_roles'],
  // of the roles that managers of domains may grant, of which this one is, every manager sees the name
  [everywhere(...READERS, 'domain-manager', 'project-manager'), 'get_role'],
  [{ own: [...READERS, ...IN_DOMAIN, ...IN_PROJECT], other: READERS }, 'get_domain'],
  [
    { own: [...READERS, ...IN_DOMAIN, ...IN_PROJECT], other: READERS },
    'get_project list_project_tags get_project_tag get_limit',
  ],
  [
    { own: [...READERS, ...IN_DOMAIN], other: READERS },
    'get_group list_users_in_group check_user_in_group check_grant list_grants',
  ],
  [
    { own: [...READERS, ...IN_DOMAIN], other: READERS, self: PERSONAS },
    'get_user list_groups_for_user list_user_projects',
  ],
  [
    { own: [...ADMINS, 'domain-manager'], other: ADMINS },
    `create_project update_project delete_project update_project_tags create_project_tag delete_project_tags
     delete_project_tag create_user create_group update_group delete_group add_user_to_group remove_user_from_group
     create_grant revoke_grant update_user delete_user`,
  ],
  [{ ...everywhere(), self: PERSONAS }, 'create_application_credential create_trust'],
  [
    { ...everywhere(...CLOUD_READERS), self: PERSONAS },
    `list_application_credentials get_application_credential list_access_rules get_access_rule
     ec2_list_credentials ec2_get_credential get_trust list_roles_for_trust get_role_for_trust list_trusts`,
  ],
  [{ ...everywhere(...READERS), self: PERSONAS }, 'get_credential'],
  [{ ...everywhere(...ADMINS), self: PERSONAS }, 'create_credential update_credential delete_credential'],
  [
    { ...everywhere(...CLOUD), self: PERSONAS },
    'delete_application_credential delete_access_rule delete_trust',
  ],
  [{ ...everywhere(...CLOUD), self: [...ADMINS, ...MEMBERS] }, 'ec2_create_credential ec2_delete_credential'],
];

/** Who is let through to each operation, by the name of its policy without `identity:`. */
export const ALLOWED: ReadonlyMap<string, Allowed> = new Map(
  GROUPS.flatMap(([allowed, names]) => names.split(/\s+/).map((name) => [name, allowed] as const)),
);
