/** A program that users may let act for them by OAuth 1.0a. */
export interface OauthConsumerTable {
  id: string;
  description: string | null;
  /** Sealed. */
  secret: string;
  /** JSON of attributes that clients made up. */
  extra: string;
}

/** A consumer's wish to act in a project; once a user has authorized it, it is exchanged for an access token. */
export interface OauthRequestTokenTable {
  id: string;
  consumer_id: string;
  project_id: string;
  /** Sealed. */
  secret: string;
  /** Null until a user has authorized it. */
  user_id: string | null;
  verifier: string | null;
  /** JSON list of role ids. */
  roles: string | null;
  expires_at: string | null;
}

/** With this a consumer acts as the user in the project, with these roles. */
export interface OauthAccessTokenTable {
  id: string;
  consumer_id: string;
  project_id: string;
  /** Sealed. */
  secret: string;
  user_id: string;
  /** JSON list of role ids. */
  roles: string;
  expires_at: string | null;
}

/** A signature that was used: it counts once. */
export interface OauthNonceTable {
  /** Hash of consumer, token, timestamp and nonce. */
  id: string;
  expires_at: string;
}

/** The policy document of an endpoint, of a service, or of a service in a region; unused columns are empty. */
export interface PolicyAssociationTable {
  policy_id: string;
  endpoint_id: string;
  service_id: string;
  region_id: string;
}

/** A key of the identity service, sealed by the key in the controllers' state directory. */
export interface IdentityKeyTable {
  id: string;
  purpose: 'token' | 'credential';
  secret: string;
  /** Seconds since 1970. */
  created_at: number;
}

export interface DelegationTables {
  oauth_consumer: OauthConsumerTable;
  oauth_request_token: OauthRequestTokenTable;
  oauth_access_token: OauthAccessTokenTable;
  oauth_nonce: OauthNonceTable;
  policy_association: PolicyAssociationTable;
  identity_key: IdentityKeyTable;
}
