import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { composeParts } from '../../agents/compose.js';
import { gatherFacts } from '../../agents/facts.js';
import { FakeMachine } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import { Reconciler } from '../../agents/reconciler.js';
import { createLogger } from '../../src/protocol/log.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, Spec } from '../../src/protocol/objects.js';
import { agentConfig as config } from '../support/hosts/agent-config.js';
import { exampleSpec, IMAGE, SERVER_ID } from '../support/hosts/example-spec.js';

/** An agent's reconciler with the real parts on a host. */
function start(host: FakeHost, spec: () => Spec) {
  const lines: string[] = [];
  const all: ObjectReport[] = [];
  const reports = new Map<ObjectKey, ObjectReport>();
  const log = createLogger('info', {}, (line) => lines.push(line));
  const parts = composeParts({
    host,
    config,
    virtType: 'qemu',
    bootId: 'boot',
    fetchImage: async () => Readable.from([IMAGE]),
    log,
  });
  const reconciler = new Reconciler({
    parts,
    spec,
    log,
    retryMs: 20,
    report: (report) => {
      all.push(report);
      reports.set(report.key, report);
    },
  });
  return { parts, reconciler, reports, all, lines };
}

async function until(what: string, condition: () => boolean, lines: readonly string[] = []): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}\n${lines.slice(-6).join('')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What is on the machine that a guest's life leaves behind or not. */
function inventory({ namespaces, ipsets, domains, processes }: FakeMachine) {
  const own = namespaces.get('');
  return {
    links: [...(own?.links.keys() ?? [])].sort(),
    namespaces: [...namespaces.keys()].sort(),
    ipsets: [...ipsets.keys()],
    domains: [...domains.keys()],
    processes: [...processes.values()].map((process) => process.command),
    fdb: own?.fdb ?? [],
  };
}

describe('the agent’s parts on a simulated host', () => {
  let machine: FakeMachine;
  let host: FakeHost;
  let spec: Spec;

  beforeEach(() => {
    machine = new FakeMachine({ hostname: 'host1' });
    host = new FakeHost(machine);
    spec = exampleSpec(createHash('sha512').update(IMAGE).digest('hex'), IMAGE.length);
  });

  const applied = (reports: ReadonlyMap<ObjectKey, ObjectReport>) =>
    Object.keys(spec).every((key) => reports.get(key as ObjectKey)?.state === 'applied');

  it('bring about a whole spec, and then have nothing more to do', async () => {
    const { reconciler, reports, parts, lines } = start(host, () => spec);
    await reconciler.fullSync();
    await until('applied', () => applied(reports), lines);
    expect([...machine.domains.values()]).toMatchObject([{ uuid: SERVER_ID, state: 'running' }]);
    expect(reports.get(`server/${SERVER_ID}`)).toMatchObject({ observed: { power_state: 'running' } });
    const { length } = host.changes;
    await reconciler.fullSync();
    expect(host.changes.slice(length)).toEqual([]);
    const steps = await Promise.all(Object.values(parts).map((part) => part.plan(spec)));
    expect(steps.flat()).toEqual([]);
    expect(await parts.compute.consoleOutput(SERVER_ID, null)).toContain('Simulated guest');
    await reconciler.close();
  });

  it('take everything away again', async () => {
    let current: Spec = {};
    const { reconciler, reports, lines } = start(host, () => current);
    await reconciler.fullSync();
    const before = inventory(machine);
    current = spec;
    await reconciler.changed(Object.keys(spec) as ObjectKey[]);
    await until('applied', () => applied(reports), lines);
    // guests and volumes go by tombstone, the rest by absence
    const doomed = Object.entries(spec).filter(([key]) => /^(server|volume)\//.test(key));
    current = Object.fromEntries(
      doomed.map(([key, object]) => [key, { ...object, revision: 'x', tombstone: true }]),
    );
    await reconciler.changed(Object.keys(spec) as ObjectKey[]);
    await until('gone', () =>
      Object.keys(spec).every((one) => reports.get(one as ObjectKey)?.state === 'gone'),
    );
    expect(inventory(machine)).toEqual(before);
    expect(machine.files.paths().filter((path) => path.includes(SERVER_ID))).toEqual([]);
    await reconciler.close();
  });

  it('converge after a crash behind any of their changes', async () => {
    const whole = new FakeHost(new FakeMachine({ hostname: 'host1' }));
    const first = start(whole, () => spec);
    await first.reconciler.fullSync();
    await until('applied', () => applied(first.reports), first.lines);
    const wanted = inventory(whole.machine);
    await first.reconciler.close();
    const total = whole.changes.length;
    for (let n = 1; n <= total; n++) {
      const crashing = new FakeHost(new FakeMachine({ hostname: 'host1' }));
      crashing.crashAfter(n);
      void start(crashing, () => spec).reconciler.fullSync();
      await until(`crash after ${n}`, () => crashing.crashed);
      const next = start(new FakeHost(crashing.machine), () => spec);
      await next.reconciler.fullSync();
      await until(
        `converged after a crash behind: ${crashing.changes.at(-1)}`,
        () => applied(next.reports),
        next.lines,
      );
      expect(inventory(crashing.machine)).toEqual(wanted);
      await next.reconciler.close();
    }
  }, 300_000);

  it('report a command that fails or hangs, and come right afterwards', async () => {
    host.failOn(/^virsh .*start/, 'error: internal error: cannot load the simulation\n');
    host.timeOutOn(/^qemu-img create/);
    const { reconciler, reports, all, lines } = start(host, () => spec);
    await reconciler.fullSync();
    await until('applied', () => applied(reports), lines);
    const messages = all.filter((report) => report.state === 'error').map((report) => report.error?.message);
    expect(messages.join('\n')).toMatch(/still running after/);
    expect(messages.join('\n')).toMatch(/cannot load the simulation/);
    await reconciler.close();
  });

  it('notice that a guest ended', async () => {
    const { reconciler, reports, lines } = start(host, () => spec);
    await reconciler.fullSync();
    await until('applied', () => applied(reports), lines);
    const { end } = await import('../../agents/host/fake/virsh.js');
    const [domain] = machine.domains.values();
    end(machine, domain!, 'crashed', 'Stopped Failed');
    await until('noticed', () => reports.get(`server/${SERVER_ID}`)?.observed?.power_state !== 'running');
    await reconciler.close();
  });

  it('mark the host as simulated', async () => {
    const facts = await gatherFacts(host, config, { type: 'fake', reason: 'simulated' });
    expect(facts).toMatchObject({
      simulated: true,
      virt_type: 'fake',
      vcpus: 8,
      memory_mb: 32_768,
      disk_gb: 1000,
      warnings: [],
    });
    expect(facts).toMatchObject({ hostname: 'host1', libvirt_version: '9.0.0', qemu_version: '7.2.0' });
  });
});
