/** Milliseconds that tests wait at the most. A wait ends at its condition: this is what the slowest machine needs. */
export const PATIENCE_MS = 90_000;
