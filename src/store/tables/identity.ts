/** Tables of the identity service. */
export type IdentityTables = {};
