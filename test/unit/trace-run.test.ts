import { describe, expect, it } from 'vitest';
import { MaruError } from '../../src/core/errors.js';
import { type Ask, findingsOf } from '../../src/core/trace/ask.js';
import type { Hop } from '../../src/core/trace/model.js';
import { lookAtHops } from '../../src/core/trace/run.js';
import type { TraceRequest } from '../../src/protocol/trace.js';

const hop = (host: string, what: string): Hop => ({
  host: { id: `id-${host}`, name: host },
  what,
  object: null,
  judge: { check: { kind: 'shared' } },
});
const database: Hop = {
  host: null,
  what: 'router',
  object: null,
  judge: { verdict: { state: 'ok', detail: 'there', show: 'maru router show' } },
};

async function look(hops: readonly Hop[], ask: Ask): Promise<string[]> {
  return (await lookAtHops(hops, ask, false)).map(({ host, what, state }) => `${host} ${what} ${state}`);
}

describe('asking hosts for hops', () => {
  it('asks each host once, all that concerns it, and keeps the order of the way', async () => {
    const asked: string[] = [];
    const ask: Ask = async (hostId, { checks }) => {
      asked.push(`${hostId} ${checks.length}`);
      return { findings: checks.map(() => ({ state: 'ok', detail: '' })) };
    };
    const hops = [hop('a', '1'), database, hop('b', '2'), hop('a', '3')];
    expect(await look(hops, ask)).toEqual(['a 1 ok', 'null router ok', 'b 2 ok', 'a 3 ok']);
    expect(asked.sort()).toEqual(['id-a 2', 'id-b 1']);
  });

  it('has a host that does not answer fail at its first hop, and knows nothing of its others', async () => {
    const ask: Ask = async (hostId, { checks }) => {
      if (hostId === 'id-b') throw new MaruError('unavailable', 'no answer', { cause: new Error('refused') });
      return { findings: checks.map(() => ({ state: 'ok', detail: '' })) };
    };
    expect(await look([hop('a', '1'), hop('b', '2'), hop('a', '3'), hop('b', '4')], ask)).toEqual([
      'a 1 ok',
      'b 2 fail',
      'a 3 ok',
      'b 4 unknown',
    ]);
  });

  it('does not take an agent that cannot say for one that is away', async () => {
    const ask: Ask = async () => {
      throw new MaruError('unavailable', 'Host b: nothing at POST /v1/trace');
    };
    const [first] = await lookAtHops([hop('b', '1')], ask, false);
    expect(first).toMatchObject({ state: 'unknown', detail: expect.stringContaining('nothing at POST') });
  });

  it('asks for much in parts, and takes what an agent left out for unknown', async () => {
    const requests: TraceRequest[] = [];
    const ask: Ask = async (_host, request) => {
      requests.push(request);
      const some = requests.length === 1 ? request.checks : request.checks.slice(1);
      return { findings: some.map(() => ({ state: 'ok', detail: '' })) };
    };
    const found = await look(
      Array.from({ length: 700 }, (_, n) => hop('a', `${n}`)),
      ask,
    );
    expect(requests.map(({ checks }) => checks.length)).toEqual([500, 200]);
    expect(found.filter((one) => one.endsWith('ok'))).toHaveLength(699);
    expect(found.at(-1)).toBe('a 699 unknown');
  });

  it('has what is missing of one part not taken from the next', async () => {
    const ask: Ask = async (_host, { checks }) => {
      const first = checks.length === 500;
      const some = first ? checks.slice(1) : checks;
      return { findings: some.map(() => ({ state: 'ok', detail: first ? 'first' : 'second' })) };
    };
    const hops = Array.from({ length: 600 }, (_, n) => hop('a', `${n}`));
    const found = await lookAtHops(hops, ask, false);
    expect(found[499]).toMatchObject({ state: 'unknown', detail: 'the agent said nothing of it' });
    expect(found.slice(500).every(({ detail }) => detail === 'second')).toBe(true);
  });

  it('asks an agent that refuses all for one kind of check again, without that kind', async () => {
    const known = {
      network: { id: 'n', type: 'vxlan', physical_network: null, segmentation_id: 1 },
    } as const;
    const kinds = ['shared', 'tracking', 'bridge', 'fdb-table', 'tracking', 'tunnel'] as const;
    const hops = kinds.map(
      (kind): Hop => ({ ...hop('b', kind), judge: { check: { kind, ...known, address: null } as never } }),
    );
    const asked: string[] = [];
    const ask: Ask = async (_host, { checks }) => {
      asked.push(checks.map(({ kind }) => kind).join());
      const bad = checks.find(({ kind }) => kind === 'tracking' || kind === 'fdb-table');
      if (bad?.kind === 'tracking')
        throw new MaruError('unavailable', "Host b: 'tracking' is no kind of check");
      if (bad) throw new MaruError('unavailable', "Host b: a check of kind 'fdb-table' is not complete");
      return { findings: checks.map(({ kind }) => ({ state: 'ok', detail: kind })) };
    };
    const found = await lookAtHops(hops, ask, false);
    expect(found.map(({ state }) => state)).toEqual(['ok', 'unknown', 'ok', 'unknown', 'unknown', 'ok']);
    expect(found.map(({ what, state, detail }) => state !== 'ok' || what === detail)).not.toContain(false);
    expect(found[1]?.detail).toContain('the agent of b is older than the controller and does not understand');
    expect(asked).toEqual([kinds.join(), 'shared,bridge,fdb-table,tunnel', 'shared,bridge,tunnel']);
    // one that goes on refusing is not asked for ever
    let times = 0;
    const never: Ask = async () => {
      times++;
      throw new MaruError('unavailable', "Host b: 'tracking' is no kind of check");
    };
    expect((await lookAtHops(hops, never, false)).map(({ state }) => state)).not.toContain('ok');
    expect(times).toBe(2);
  });

  it('has an answer in words of a later release, or in none, be unknown', async () => {
    const later = async () => ({ findings: [{ state: 'degraded', detail: 'slow' }] }) as never;
    expect(await lookAtHops([hop('a', '1')], later, false)).toMatchObject([
      { state: 'unknown', detail: 'degraded: slow' },
    ]);
    const nothing = async () => ({}) as never;
    expect(await lookAtHops([hop('a', '1')], nothing, false)).toMatchObject([{ state: 'unknown' }]);
  });

  it('asks no more parts of a host that has taken long for others', async () => {
    const checks = Array.from({ length: 1_200 }, () => ({ kind: 'shared' as const }));
    let parts = 0;
    const slow: Ask = async (_host, { checks: some }) => {
      parts++;
      await new Promise((resolve) => setTimeout(resolve, 30));
      return { findings: some.map(() => ({ state: 'ok', detail: '' })) };
    };
    const found = await findingsOf({ id: 'a', name: 'a' }, checks, slow, false, 20);
    expect(parts).toBe(1);
    expect(found).toHaveLength(1_200);
    expect(found.filter(({ state }) => state === 'ok')).toHaveLength(500);
    expect(found.at(-1)?.detail).toContain('was not asked for this one');
  });
});
