import { nowText } from '../../store/store.js';
import type { Reason, Verdict } from './candidate.js';
import type { Placement } from './place.js';

/** What the request for a server said about where it should run. */
export interface PlacementHints {
  readonly host: string | null;
  readonly group: string | null;
  readonly same_host: readonly string[];
  readonly different_host: readonly string[];
}

export const NO_HINTS: PlacementHints = { host: null, group: null, same_host: [], different_host: [] };

/** What is kept of a placement with the server or volume that it was for. */
export interface PlacementRecord {
  readonly at: string;
  /** Host that it went to, by name; null: none would do. */
  readonly host: string | null;
  readonly hints: PlacementHints;
  /** How many hosts would have done, and how many not. */
  readonly fitting: number;
  readonly refused: number;
  /** The best of those that would have done, best first. */
  readonly best: readonly Pick<Verdict, 'host' | 'weight' | 'weights'>[];
  readonly against: readonly { readonly host: string; readonly reasons: readonly Reason[] }[];
}

/** A placement that went well keeps this many hosts of either kind; one that failed keeps them all. */
const KEPT = 20;

export function recordOf(placement: Placement, hints: PlacementHints = NO_HINTS): string {
  const able = placement.verdicts.filter(({ ok }) => ok);
  const unable = placement.verdicts.filter(({ ok }) => !ok);
  const placed = placement.hostId !== null;
  const record: PlacementRecord = {
    at: nowText(),
    host: placement.verdicts.find(({ host_id }) => host_id === placement.hostId)?.host ?? null,
    hints,
    fitting: able.length,
    refused: unable.length,
    best: able.slice(0, KEPT).map(({ host, weight, weights }) => ({ host, weight, weights })),
    against: (placed ? unable.slice(0, KEPT) : unable).map(({ host, reasons }) => ({ host, reasons })),
  };
  return JSON.stringify(record);
}

export function readRecord(text: string | null): PlacementRecord | null {
  return text === null ? null : (JSON.parse(text) as PlacementRecord);
}
