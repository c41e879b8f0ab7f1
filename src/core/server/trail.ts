import type { ServerRow } from '../../store/compute/server.js';
import type { Tx } from '../../store/store.js';
import { note } from '../../store/trail.js';
import type { Placement } from '../scheduler/place.js';
import type { ServerFault } from './facts.js';

/** Hosts that the note of a placement names. */
const MOST_NAMED = 5;

/** Notes what a server's row says otherwise than before, as far as it is about its state. */
export function noteStatus(tx: Tx, before: ServerRow, after: ServerRow): void {
  const parts: string[] = [];
  const change = (name: string, from: string | null, to: string | null) => {
    if (from !== to) parts.push(`${name}${from ?? 'none'} → ${to ?? 'none'}`);
  };
  change('', before.status, after.status);
  change('task ', before.task_state, after.task_state);
  change('power ', before.observed_power, after.observed_power);
  change('wanted ', before.power, after.power);
  if (before.host_id !== after.host_id) parts.push(after.host_id === null ? 'leaves its host' : 'has a host');
  if (after.fault !== null && after.fault !== before.fault) parts.push(faultWords(after.fault));
  if (parts.length === 0) return;
  note(tx, {
    kind: 'server',
    id: after.id,
    what: 'status',
    detail: parts.join(', '),
    hostId: after.host_id ?? before.host_id,
    // what was asked for last has nothing to do with what happens when nothing is under way
    ...((before.task_state ?? after.task_state) ? { requestId: after.task_request_id } : {}),
  });
}

/** Notes where the scheduler put a server, and why there; or what every host had against it. */
export function notePlacement(
  tx: Tx,
  server: Pick<ServerRow, 'id' | 'task_request_id'>,
  { hostId, verdicts }: Placement,
): void {
  const able = verdicts.filter(({ ok }) => ok);
  const chosen = verdicts.find((verdict) => verdict.host_id === hostId);
  const others = verdicts.filter((verdict) => verdict !== chosen);
  const against = others
    .slice(0, MOST_NAMED)
    .map(({ host, ok, weight, reasons }) =>
      ok
        ? `${host}: weight ${weight.toFixed(2)}`
        : `${host}: ${reasons.map(({ reason }) => reason).join('; ')}`,
    );
  const more = others.length > MOST_NAMED ? [`and ${others.length - MOST_NAMED} more`] : [];
  const what = chosen
    ? `on ${chosen.host}, weight ${chosen.weight.toFixed(2)}, of ${able.length} host(s) that fit`
    : `nowhere: none of ${verdicts.length} host(s) fits`;
  note(tx, {
    kind: 'server',
    id: server.id,
    what: 'placed',
    detail: [what, ...against, ...more].join('; '),
    hostId,
    requestId: server.task_request_id,
  });
}

function faultWords(text: string): string {
  return `fault: ${(JSON.parse(text) as ServerFault).message}`;
}
