/**
 * Rules that every service's policies build on, with the meaning of OpenStack's secure RBAC: `admin` administers the whole
 * cloud from any scope, `manager`, `member` and `reader` act within the project of their token; each implies the next.
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
  token_subject: 'user_id:%(target.token.user_id)s',
};
