/** Tables of the network service. */
export type NetworkTables = {};
