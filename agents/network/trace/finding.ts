import type { TraceFinding } from '../../../src/protocol/trace.js';

/** What was found, without the command that shows it. */
export type Found = Omit<TraceFinding, 'show'>;

export function ok(detail: string): Found {
  return { state: 'ok', detail };
}

export function fail(detail: string, mend?: string): Found {
  return { state: 'fail', detail, ...(mend === undefined ? {} : { mend }) };
}

export function unknown(detail: string): Found {
  return { state: 'unknown', detail };
}
