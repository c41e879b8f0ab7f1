import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, NO_WISHES, type PlacementRequest } from '../../src/core/scheduler/candidate.js';
import { judgeHosts } from '../../src/core/scheduler/judge.js';
import { howMany, simulate } from '../../src/core/scheduler/many.js';
import { reasonsAgainst } from '../../src/core/scheduler/predicates.js';

const REQUEST: PlacementRequest = { ...NO_WISHES, resources: { VCPU: 2, MEMORY_MB: 1024, DISK_GB: 10 } };

function capacity(total: number, used = 0, reserved = 0, allocation_ratio = 1) {
  return { total, used, reserved, allocation_ratio, max_unit: total };
}

function host(name: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    id: `id-${name}`,
    name,
    down: null,
    enabled: true,
    disabled_reason: null,
    observe_only: false,
    undelivered: null,
    zones: new Set(),
    aggregates: [],
    virt_type: 'kvm',
    architecture: 'x86_64',
    disk: { total_gb: 100, used_gb: 20 },
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
  it('gives every reason against a host, in words with numbers', () => {
    const aggregates = (metadata: Record<string, string>) => ({ aggregates: [{ name: 'ag', metadata }] });
    const image = (properties: Record<string, string>, size = 0) => ({ image: { size, properties } });
    const group = (policy: string, members: Record<string, number>, max_per_host = 1) => ({
      group: { policy, members, max_per_host },
    });
    const specs = (wanted: string) => ({
      extra_specs: { 'aggregate_instance_extra_specs:ssd': wanted, 'hw:cpu_policy': 'dedicated' },
    });
    const memory = (...numbers: Parameters<typeof capacity>) => ({
      capacities: new Map([['MEMORY_MB', capacity(...numbers)]]),
    });
    const cases: [Partial<Candidate>, Partial<PlacementRequest>, Record<string, string>][] = [
      [{}, {}, {}],
      [{ down: 'it is down: no heartbeat for 45 s' }, {}, { up: 'it is down: no heartbeat for 45 s' }],
      [{ enabled: false, disabled_reason: 'disk' }, {}, { enabled: 'it is disabled (disk)' }],
      [
        { observe_only: true },
        {},
        { accepted: 'its agent only observes until an operator accepts the host again' },
      ],
      [{ undelivered: 'refused' }, {}, { delivery: 'its spec cannot be delivered: refused' }],
      [{}, { host: 'b' }, { 'requested host': 'the request names host b' }],
      [{}, { avoid: { 'id-a': 'building failed on it' } }, { avoided: 'building failed on it' }],
      [{}, { only: { hosts: ['id-b'], reason: 'elsewhere' } }, { only: 'elsewhere' }],
      [{}, { availability_zone: 'az1' }, { 'availability zone': 'it is in availability zone nova, not az1' }],
      [{ zones: new Set(['az1']) }, { availability_zone: 'az1' }, {}],
      [
        {},
        { physical_networks: ['extnet', 'lan'] },
        { 'physical networks': 'it is not attached to physical network lan' },
      ],
      [{}, { resources: { VCPU: 5 } }, { vcpus: 'needs 5 vCPUs, it has 4 altogether' }],
      [
        {},
        { resources: { MEMORY_MB: 7681 } },
        { memory: 'needs 7681 MB of memory, 7680 of 7680 free (ratio 1.0, 512 reserved)' },
      ],
      [
        memory(8192, 7168),
        { resources: { MEMORY_MB: 4096 } },
        { memory: 'needs 4096 MB of memory, 1024 of 8192 free (ratio 1.0)' },
      ],
      [
        { capacities: new Map() },
        {},
        {
          vcpus: 'it has not reported any vCPUs yet',
          memory: 'it has not reported any MB of memory yet',
          disk: 'it has not reported any GB of disk yet',
        },
      ],
      [
        { disk: { total_gb: 100, used_gb: 99.4 } },
        {},
        { 'free disk': 'its disk is full: 0.6 of 100 GB free' },
      ],
      [
        { disk: { total_gb: 100, used_gb: 95 } },
        image({}, 6 * 1024 ** 3),
        { 'free disk': 'the image has 6.0 GB, its disk 5 GB free' },
      ],
      [{ disk: null }, image({}, 6 * 1024 ** 3), {}],
      [
        {},
        group('anti-affinity', { 'id-a': 1 }),
        {
          'server group': 'it runs 1 other member(s) of the server group, 1 at most may share a host',
        },
      ],
      [{}, group('anti-affinity', { 'id-a': 1 }, 2), {}],
      [
        {},
        group('affinity', { 'id-b': 1 }),
        { 'server group': 'the other members of the server group are elsewhere' },
      ],
      [{}, group('affinity', {}), {}],
      [{}, group('soft-anti-affinity', { 'id-a': 1 }), {}],
      [{}, specs('true'), { 'aggregate extra specs': 'none of its aggregates has ssd true' }],
      [
        aggregates({ ssd: 'false' }),
        specs('true'),
        { 'aggregate extra specs': 'none of its aggregates has ssd true (it is false)' },
      ],
      [aggregates({ ssd: 'true' }), specs('true'), {}],
      [aggregates({ ssd: 'a, b' }), specs('<or> b <or> c'), {}],
      [aggregates({ ssd: '4' }), specs('>= 3'), {}],
      [aggregates({ filter_tenant_id: 'p1,p2' }), { project_id: 'p2' }, {}],
      [
        aggregates({ filter_tenant_id: 'p1,p2' }),
        { project_id: 'p3' },
        { 'aggregate projects': 'its aggregate ag is kept for certain projects, this one is not among them' },
      ],
      [{}, image({ hw_architecture: 'amd64' }), {}],
      [{}, image({ hw_architecture: 'i686' }), {}],
      [
        {},
        image({ architecture: 'aarch64' }),
        { hardware: 'the image is for aarch64, its processors are x86_64' },
      ],
      [
        { architecture: 'aarch64' },
        image({ hw_machine_type: 'q35' }),
        { hardware: 'machine type q35 needs x86, its processors are aarch64' },
      ],
      [
        { virt_type: 'qemu' },
        image({ img_hv_type: 'kvm' }),
        { hardware: 'the image wants hypervisor kvm, it has qemu' },
      ],
      [{}, image({ img_hv_type: 'qemu', hw_vm_mode: 'hvm' }), {}],
      [{}, image({ hw_vm_mode: 'xen' }), { hardware: 'the image wants vm mode xen, there is hvm only' }],
    ];
    for (const [candidate, request, reasons] of cases) {
      const given = reasonsAgainst(host('a', candidate), { ...REQUEST, ...request });
      expect(Object.fromEntries(given.map(({ predicate, reason }) => [predicate, reason]))).toEqual(reasons);
    }
  });

  it('lets soft server groups outweigh free capacity', () => {
    const members = { 'id-small': 1 };
    const small = host('small', { capacities: new Map([['MEMORY_MB', capacity(4096)]]) });
    const ask = (policy: string) =>
      judgeHosts([host('large'), small], {
        ...REQUEST,
        resources: { MEMORY_MB: 128 },
        group: { policy, members, max_per_host: 1 },
      })[0]!.host;
    expect(ask('soft-affinity')).toBe('small');
    expect(ask('soft-anti-affinity')).toBe('large');
  });

  it('says how many fit, as many as could be placed one after another', () => {
    const small = host('small', { capacities: new Map([['MEMORY_MB', capacity(2048, 512)]]) });
    const large = host('large', { capacities: new Map([['MEMORY_MB', capacity(4096)]]) });
    const off = host('off', { down: 'it is down' });
    const hosts = [small, large, off];
    const ask = (request: Partial<PlacementRequest>) => {
      const whole = { ...REQUEST, resources: { MEMORY_MB: 500 }, ...request };
      const { of, total } = howMany(hosts, judgeHosts(hosts, whole), whole);
      return { of: Object.fromEntries(of), total, placed: simulate(hosts, whole, 100) };
    };
    expect(ask({})).toEqual({
      of: { 'id-small': 3, 'id-large': 8, 'id-off': 0 },
      total: 11,
      placed: { small: 3, large: 8 },
    });
    const anti = { group: { policy: 'anti-affinity', members: { 'id-large': 1 }, max_per_host: 2 } };
    expect(ask(anti)).toMatchObject({ total: 3, placed: { small: 2, large: 1 } });
    const together = { group: { policy: 'affinity', members: {}, max_per_host: 1 } };
    expect(ask(together)).toMatchObject({ total: 8, placed: { large: 8 } });
  });

  it('prefers the host with most free, and puts those that will not do last', () => {
    const busy = host('busy', {
      capacities: new Map([
        ['VCPU', capacity(4, 8, 0, 4)],
        ['MEMORY_MB', capacity(8192, 4096, 512)],
        ['DISK_GB', capacity(100, 50)],
      ]),
    });
    const verdicts = judgeHosts([busy, host('down', { down: 'it is down' }), host('idle')], REQUEST);
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
