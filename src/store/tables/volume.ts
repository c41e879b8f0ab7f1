/** Tables of the volume service. */
export type VolumeTables = {};
