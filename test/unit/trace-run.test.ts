import { describe, expect, it } from 'vitest';
import { MaruError } from '../../src/core/errors.js';
import type { Hop } from '../../src/core/trace/model.js';
import { type Ask, lookAtHops } from '../../src/core/trace/run.js';
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
});
