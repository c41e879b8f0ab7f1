/** What a resource of a service is limited to where no limit says otherwise. */
export interface RegisteredLimitTable {
  id: string;
  service_id: string;
  /** Empty: of all regions, so that it is unique. */
  region_id: string;
  resource_name: string;
  /** -1: no limit. */
  default_limit: number;
  description: string | null;
}

/** What one project or domain has instead of the registered limit. */
export interface ProjectLimitTable {
  id: string;
  registered_limit_id: string;
  /** Empty when it is a domain's. */
  project_id: string;
  /** Empty when it is a project's. */
  domain_id: string;
  resource_limit: number;
  description: string | null;
}

export interface LimitTables {
  registered_limit: RegisteredLimitTable;
  project_limit: ProjectLimitTable;
}
