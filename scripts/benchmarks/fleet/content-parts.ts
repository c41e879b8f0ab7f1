import type { Part, ReconcileRequest } from '../../../agents/part.js';
import type { Parts } from '../../../agents/reconciler.js';
import { parseKey } from '../../../src/protocol/keys.js';
import type { ObjectReport } from '../../../src/protocol/messages.js';
import type { ObjectKey, ServerObject, SpecObject } from '../../../src/protocol/objects.js';

/** The parts of an agent that find everything as the spec wants it: objects are applied, guests run, tombstones are gone. */
export function contentParts(): Parts {
  return {
    network: part('network', (request) => reports(request, isNetworkKey)),
    storage: part('storage', (request) => reports(request, (key) => key.startsWith('volume/'))),
    compute: part('compute', (request) => reports(request, (key) => key.startsWith('server/'))),
    metadata: part('metadata', () => []),
  };
}

function part(name: string, apply: (request: ReconcileRequest) => readonly ObjectReport[]): Part {
  return { name, apply: async (request) => apply(request), plan: async () => [] };
}

function reports({ spec, changed }: ReconcileRequest, mine: (key: ObjectKey) => boolean): ObjectReport[] {
  const keys = changed ?? (Object.keys(spec) as ObjectKey[]);
  const all: ObjectReport[] = [];
  for (const key of keys) {
    const object = spec[key];
    if (object && mine(key)) all.push(report(key, object));
  }
  return all;
}

/** When each guest was started, so that repeated reports are equal. */
const launchedAt = new Date().toISOString();

function report(key: ObjectKey, object: SpecObject): ObjectReport {
  if (object.tombstone) return { key, revision: object.revision, state: 'gone' };
  const applied = { key, revision: object.revision, state: 'applied' } as const;
  if (parseKey(key).kind !== 'server') return applied;
  const running = (object.body as ServerObject).power === 'running';
  return {
    ...applied,
    observed: { power_state: running ? 'running' : 'shutdown', launched_at: launchedAt },
  };
}

function isNetworkKey(key: ObjectKey): boolean {
  return !key.startsWith('server/') && !key.startsWith('volume/');
}
