import type { TraceCheck, TraceFinding, TraceReply, TraceRequest } from '../../protocol/trace.js';
import { MaruError } from '../errors.js';

/** A host has to answer within its time, so a large network is asked for in parts. */
const CHECKS_AT_ONCE = 500;
/** For all parts together: somebody waits for the answer. */
const TIME_MS = 45_000;

export type Ask = (hostId: string, request: TraceRequest) => Promise<TraceReply>;

/**
 * Asks a host for checks and gives one finding for each, in order. What the host's agent does not understand, leaves out, or was not
 * asked for within `timeMs` is unknown, and the others are not less known for it. Rejects as `ask` does when the host cannot be asked.
 */
export async function findingsOf(
  host: { readonly id: string; readonly name: string },
  checks: readonly TraceCheck[],
  ask: Ask,
  probe: boolean,
  timeMs = TIME_MS,
): Promise<readonly TraceFinding[]> {
  const begin = performance.now();
  const findings: TraceFinding[] = [];
  const strange = new Set<string>();
  for (let at = 0; at < checks.length; at += CHECKS_AT_ONCE) {
    const some = checks.slice(at, at + CHECKS_AT_ONCE);
    if (performance.now() - begin < timeMs) {
      findings.push(...(await askPart(host, some, strange, ask, probe)));
    } else {
      const detail = `${host.name} took ${timeMs / 1000} s for ${at} of ${checks.length} checks, and was not asked for this one`;
      findings.push(...some.map(() => unknown(detail)));
    }
  }
  return findings;
}

/** `strange`: the kinds of check that the agent was found not to know, which it is not asked again. */
async function askPart(
  host: { readonly id: string; readonly name: string },
  checks: readonly TraceCheck[],
  strange: Set<string>,
  ask: Ask,
  probe: boolean,
): Promise<readonly TraceFinding[]> {
  for (;;) {
    const known = checks.filter(({ kind }) => !strange.has(kind));
    try {
      const reply = known.length > 0 ? await ask(host.id, { checks: known, probe }) : { findings: [] };
      // an answer may have less than was asked for: the next part must not get what is missing of this one
      const found = (Array.isArray(reply.findings) ? reply.findings : []).values();
      return checks.map(({ kind }) =>
        strange.has(kind) ? unknown(older(host.name, kind)) : readable(found.next().value),
      );
    } catch (error) {
      const kind = error instanceof MaruError ? refusedKind(error.message) : null;
      // each round knows of one more kind, or ends
      if (kind === null || !known.some((check) => check.kind === kind)) throw error;
      strange.add(kind);
    }
  }
}

/** Agents of the release before refuse a question with one check that they do not know as a whole, and name its kind. */
function refusedKind(message: string): string | null {
  const [, unheard, incomplete] =
    /'([a-z0-9-]+)' is no kind of check$|a check of kind '([a-z0-9-]+)' is not complete$/.exec(message) ?? [];
  return unheard ?? incomplete ?? null;
}

function older(host: string, kind: string): string {
  return `the agent of ${host} is older than the controller and does not understand its check of kind '${kind}'`;
}

/** Agents of a later release may have states that this one has no words for. */
function readable(finding: TraceFinding | undefined): TraceFinding {
  if (!finding) return unknown('the agent said nothing of it');
  if (STATES.has(finding.state)) return finding;
  return { ...finding, state: 'unknown', detail: `${finding.state}: ${finding.detail}` };
}

const STATES: ReadonlySet<string> = new Set(['ok', 'fail', 'unknown']);

function unknown(detail: string): TraceFinding {
  return { state: 'unknown', detail };
}
