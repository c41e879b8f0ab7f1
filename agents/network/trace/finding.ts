import type { TraceFinding } from '../../../src/protocol/trace.js';

/** What was found of one check. */
export type Found = TraceFinding;

export function ok(detail: string): Found {
  return { state: 'ok', detail };
}

export function fail(detail: string, mend?: string): Found {
  return { state: 'fail', detail, ...(mend === undefined ? {} : { mend }) };
}

export function unknown(detail: string): Found {
  return { state: 'unknown', detail };
}
