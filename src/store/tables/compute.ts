/** Tables of the compute service. */
export type ComputeTables = {};
