/**
 * Rules that every service's policies build on, with the meaning of OpenStack's secure RBAC: `admin` administers the whole
 * cloud from any scope, `manager`, `member` and `reader` act within the project of their token, and each implies the next;
 * `service` is for what services ask of each other.
 */
export const BASE_RULES: Readonly<Record<string, string>> = {
  context_is_admin: 'role:admin',
  admin_required: 'role:admin',
  admin_api: 'rule:context_is_admin',
  admin_only: 'rule:context_is_admin',
  default: 'rule:admin_required',
  owner: 'user_id:%(user_id)s',
  admin_or_user: 'rule:context_is_admin or user_id:%(user_id)s',
  admin_or_owner: 'rule:context_is_admin or project_id:%(project_id)s',
  project_admin: 'role:admin and project_id:%(project_id)s',
  project_manager: 'role:manager and project_id:%(project_id)s',
  project_member: 'role:member and project_id:%(project_id)s',
  project_reader: 'role:reader and project_id:%(project_id)s',
  project_manager_or_admin: 'rule:context_is_admin or rule:project_manager',
  project_member_or_admin: 'rule:context_is_admin or rule:project_member',
  project_reader_or_admin: 'rule:context_is_admin or rule:project_reader',
  system_admin: 'role:admin and system_scope:all',
  system_reader: 'role:reader and system_scope:all',
  service_api: 'role:service',
  admin_or_service: 'rule:context_is_admin or rule:service_api',
  project_reader_or_admin_or_service: 'rule:project_reader_or_admin or rule:service_api',
  token_subject: 'user_id:%(target.token.user_id)s',
  // the names of the same in the policy files of OpenStack's services
  project_manager_api: 'rule:project_manager',
  project_member_api: 'rule:project_member',
  project_reader_api: 'rule:project_reader',
  system_admin_api: 'rule:system_admin',
  system_reader_api: 'rule:system_reader',
  admin_or_service_api: 'rule:admin_or_service',
  admin_or_project_reader_or_service_api: 'rule:project_reader_or_admin_or_service',
};
