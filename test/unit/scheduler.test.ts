import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate, PlacementRequest } from '../../src/core/scheduler/candidate.js';
import { judgeHosts } from '../../src/core/scheduler/judge.js';
import { reasonsAgainst } from '../../src/core/scheduler/predicates.js';

const REQUEST: PlacementRequest = {
  resources: { VCPU: 2, MEMORY_MB: 1024, DISK_GB: 10 },
  availability_zone: null,
  host: null,
  physical_networks: [],
  avoid: {},
  only: null,
};

function capacity(total: number, used = 0, reserved = 0, allocation_ratio = 1) {
  return { total, used, reserved, allocation_ratio, max_unit: total };
}

function host(name: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    id: `id-${name}`,
    name,
    up: true,
    enabled: true,
    disabled_reason: null,
    zones: new Set(),
    physical_networks: new Set(['extnet']),
    capacities: new Map([
      ['VCPU', capacity(4, 0, 0, 4)],
      ['MEMORY_MB', capacity(8192, 0, 512)],
      ['DISK_GB', capacity(100)],
    ]),
    ...changes,
  };
}

describe('the scheduler', () => {
  it('gives every reason against a host, in words', () => {
    const cases: [Candidate, Partial<PlacementRequest>, string[]][] = [
      [host('a'), {}, []],
      [host('a', { up: false }), {}, ['it is down: no heartbeat']],
      [host('a', { enabled: false, disabled_reason: 'disk' }), {}, ['it is disabled (disk)']],
      [host('a'), { host: 'b' }, ['the request names host b']],
      [
        host('a'),
        { avoid: { 'id-a': 'building the server failed on it' } },
        ['building the server failed on it'],
      ],
      [host('a'), { only: { hosts: ['id-b'], reason: 'elsewhere' } }, ['elsewhere']],
      [host('a'), { availability_zone: 'az1' }, ['it is in availability zone nova, not az1']],
      [host('a', { zones: new Set(['az1']) }), { availability_zone: 'az1' }, []],
      [host('a'), { physical_networks: ['extnet', 'lan'] }, ['it is not attached to physical network lan']],
      [host('a'), { resources: { VCPU: 5 } }, ['it has 4 vCPUs, 5 are needed']],
      [host('a'), { resources: { MEMORY_MB: 7681 } }, ['7680 MB of memory are free, 7681 are needed']],
      [
        host('a', { capacities: new Map(), up: false }),
        {},
        [
          'it is down: no heartbeat',
          'it has not reported any vCPUs yet',
          'it has not reported any MB of memory yet',
          'it has not reported any GB of disk yet',
        ],
      ],
    ];
    for (const [candidate, request, reasons] of cases) {
      expect(reasonsAgainst(candidate, { ...REQUEST, ...request })).toEqual(reasons);
    }
  });

  it('prefers the host with most free, and puts those that will not do last', () => {
    const busy = host('busy', {
      capacities: new Map([
        ['VCPU', capacity(4, 8, 0, 4)],
        ['MEMORY_MB', capacity(8192, 4096, 512)],
        ['DISK_GB', capacity(100, 50)],
      ]),
    });
    const verdicts = judgeHosts([busy, host('down', { up: false }), host('idle')], REQUEST);
    expect(verdicts.map(({ host: name, ok, weight }) => [name, ok, weight])).toEqual([
      ['idle', true, 1],
      ['busy', true, 0],
      ['down', false, 0],
    ]);
  });

  it('never approves a host without room, whatever its numbers', () => {
    const amount = fc.integer({ min: 0, max: 64 });
    fc.assert(
      fc.property(
        amount,
        amount,
        amount,
        fc.constantFrom(1, 2, 4),
        amount,
        (total, used, reserved, ratio, wanted) => {
          const candidate = host('a', {
            capacities: new Map([['VCPU', capacity(total, used, reserved, ratio)]]),
          });
          const [verdict] = judgeHosts([candidate], { ...REQUEST, resources: { VCPU: wanted } });
          const fits =
            wanted === 0 || (wanted <= total && used + wanted <= Math.floor((total - reserved) * ratio));
          expect(verdict!.ok).toBe(fits);
          expect(verdict!.reasons.length === 0).toBe(fits);
        },
      ),
    );
  });
});
