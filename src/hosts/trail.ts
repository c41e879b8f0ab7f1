import { parseKey } from '../protocol/keys.js';
import type { DriftEvent, ObjectReport } from '../protocol/messages.js';
import type { ObjectKey } from '../protocol/objects.js';
import type { Tx } from '../store/store.js';
import { note } from '../store/trail.js';

/** Kinds that tenants do not know: they are noted with what they belong to, and only when they fail. */
const PARTS = ['dhcp', 'group-members', 'security-group'];

/**
 * Notes what a host reports of objects, as far as it is news; `before`: what it last reported of them. A network is applied anew on
 * each of its hosts whenever a port of it changes anywhere: only what it comes to is noted.
 */
export function noteReports(
  tx: Tx,
  hostId: string,
  news: readonly ObjectReport[],
  before: ReadonlyMap<ObjectKey, ObjectReport>,
): void {
  for (const { key, state, revision, error, observed } of news) {
    const { kind } = parseKey(key);
    if (PARTS.includes(kind) && error === undefined) continue;
    if (kind === 'network' && error === undefined && before.get(key)?.state === state) continue;
    const power = observed ? `, ${observed.power_state}` : '';
    const words =
      state === 'applied'
        ? `applied ${revision ?? ''}${power}`
        : `${state}${power}${error ? `: ${error.message}` : ''}`;
    note(tx, {
      ...subjectOf(key, hostId),
      what: 'report',
      detail: aboutPart(key, words),
      hostId,
      requestId: null,
    });
  }
}

/** Notes drift that was not known before. */
export function noteDrift(
  tx: Tx,
  hostId: string,
  before: readonly DriftEvent[],
  events: readonly DriftEvent[],
): void {
  const known = new Set(before.map(nameOf));
  for (const event of events) {
    if (known.has(nameOf(event))) continue;
    const outcome = event.state === 'healed' ? 'put right' : 'left as it was found';
    const detail = aboutPart(event.object, `changed by other hands, ${outcome}: ${event.detail}`);
    note(tx, { ...subjectOf(event.object, hostId), what: 'drift', detail, hostId, requestId: null });
  }
}

/** Whose trail something belongs to: parts to what they are of, what all share to the host. */
function subjectOf(key: ObjectKey, hostId: string): { kind: string; id: string } {
  const { kind, id } = parseKey(key);
  if (id === '*') return { kind: 'host', id: hostId };
  if (kind === 'dhcp') return { kind: 'network', id };
  if (kind === 'group-members') return { kind: 'security-group', id: id.split(':')[0]! };
  return { kind, id };
}

function aboutPart(key: ObjectKey, words: string): string {
  return PARTS.includes(parseKey(key).kind) ? `${parseKey(key).kind}: ${words}` : words;
}

function nameOf({ object, first_seen, action, state }: DriftEvent): string {
  return [object, first_seen, action, state].join(' ');
}
