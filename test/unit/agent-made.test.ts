import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { composeParts } from '../../agents/compose.js';
import { FakeMachine } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import type { Pipe } from '../../agents/host/host.js';
import { Reconciler } from '../../agents/reconciler.js';
import { createLogger } from '../../src/protocol/log.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { ObjectKey, Spec, SpecObject } from '../../src/protocol/objects.js';
import { byHand } from '../support/by-hand.js';
import { agentConfig } from '../support/hosts/agent-config.js';
import { exampleSpec, IMAGE, SERVER_ID } from '../support/hosts/example-spec.js';

const STATE = agentConfig.state_dir;
const SERVER: ObjectKey = `server/${SERVER_ID}`;
const VOLUME: ObjectKey = 'volume/77770001-0000-4000-8000-000000000001';
const ROOT = `${STATE}/servers/${SERVER_ID}/root.qcow2`;

/** A host whose virsh fails to look domains up, or says nothing at all, as while libvirtd is restarted. */
class ShakyHost extends FakeHost {
  lookupsFail = false;
  listFails = false;

  override openPipe(command: string, args: readonly string[]): Pipe {
    const pipe = super.openPipe(command, args);
    return {
      ...pipe,
      write: (line) => {
        // virsh prints the very same for a domain that is not there
        if (this.lookupsFail && /^(domstate|dominfo|dumpxml) /.test(line)) pipe.write('domstate not-there');
        else if (this.listFails && line.startsWith('list ')) pipe.write('cannot-list');
        else pipe.write(line);
      },
    };
  }
}

describe('what was made once on a host', () => {
  let machine: FakeMachine;
  let host: ShakyHost;
  let spec: Spec;
  let agents: Reconciler[];
  let reports: Map<ObjectKey, ObjectReport>;
  let lines: string[];

  beforeEach(() => {
    machine = new FakeMachine({ hostname: 'host1' });
    host = new ShakyHost(machine);
    spec = exampleSpec(createHash('sha512').update(IMAGE).digest('hex'), IMAGE.length);
    agents = [];
  });
  afterEach(async () => {
    for (const agent of agents) await agent.close();
  });

  /** An agent that knows nothing of what came before but what is on the host's disk. */
  function start(bootId = 'boot') {
    reports = new Map();
    lines = [];
    const log = createLogger('info', {}, (line) => lines.push(line));
    const fetchImage = async () => Readable.from([IMAGE]);
    const parts = composeParts({ host, config: agentConfig, virtType: 'qemu', bootId, fetchImage, log });
    const kept = reports;
    const reconciler = new Reconciler({
      parts,
      spec: () => spec,
      log,
      retryMs: 20,
      report: (report) => kept.set(report.key, report),
    });
    agents.push(reconciler);
    return { parts, reconciler };
  }

  async function applied() {
    const agent = start();
    await agent.reconciler.fullSync();
    await until(() => Object.keys(spec).every((key) => reports.get(key as ObjectKey)?.state === 'applied'));
    return agent;
  }

  async function until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`not in time\n${lines.slice(-6).join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  const volumeFile = () =>
    `${STATE}/volumes/${VOLUME.slice(7)}.${(spec[VOLUME] as SpecObject<'volume'>).body.format}`;
  const entomb = (key: ObjectKey) => {
    spec = { ...spec, [key]: { ...spec[key]!, revision: 'x', tombstone: true } };
  };

  it('is not made anew when its directories are not mounted after a boot', async () => {
    const first = await applied();
    await first.reconciler.close();
    byHand(machine, 'virsh', ['destroy', SERVER_ID]);
    machine.files.removeTree(`${STATE}/servers`);
    machine.files.removeTree(`${STATE}/volumes`);
    // another spec than the one that was brought about: what is known of that one says nothing
    spec = { ...spec, [SERVER]: { ...spec[SERVER]!, revision: 'another' } } as Spec;
    const next = start('another boot');
    await next.reconciler.fullSync();
    await until(() => reports.get(SERVER)?.state === 'error' && reports.get(VOLUME)?.state === 'error');
    expect(reports.get(SERVER)?.error?.message).toContain('root disk vda is gone');
    expect(reports.get(VOLUME)?.error?.message).toContain('its file is gone');
    expect(machine.files.get(ROOT)).toBeUndefined();
    expect(machine.files.get(volumeFile())).toBeUndefined();
    expect([...machine.domains.values()]).toMatchObject([{ running: null }]);
    const plan = await next.parts.storage.plan(spec);
    expect(plan.filter(({ action }) => action.startsWith('create') && !action.includes('config'))).toEqual(
      [],
    );
  });

  it('is not made anew when its directory goes under a running guest', async () => {
    const { reconciler } = await applied();
    machine.files.removeTree(`${STATE}/servers/${SERVER_ID}`);
    machine.files.remove(volumeFile());
    await reconciler.fullSync();
    expect(machine.files.get(ROOT)).toBeUndefined();
    expect(machine.files.get(volumeFile())).toBeUndefined();
  });

  it('is known of a host that was set up before there were marks', async () => {
    const first = await applied();
    await first.reconciler.close();
    machine.files.removeTree(`${STATE}/made`);
    const next = await applied();
    await next.reconciler.close();
    const marks = [`server-${SERVER_ID}`, `volume-${VOLUME.slice(7)}`];
    expect([...machine.files.list(`${STATE}/made`)].sort()).toEqual(marks);
    expect(marks.map((mark) => machine.files.get(`${STATE}/made/${mark}`)?.mode)).toEqual([0o600, 0o600]);
  });

  it('is forgotten with its tombstone, and can be made again', async () => {
    const { reconciler } = await applied();
    const before = spec;
    entomb(SERVER);
    entomb(VOLUME);
    await reconciler.changed([SERVER, VOLUME]);
    await until(() => reports.get(SERVER)?.state === 'gone' && reports.get(VOLUME)?.state === 'gone');
    expect(machine.files.list(`${STATE}/made`)).toEqual([]);
    spec = before;
    await reconciler.changed([SERVER, VOLUME]);
    await until(() => reports.get(SERVER)?.state === 'applied' && reports.get(VOLUME)?.state === 'applied');
    expect(machine.files.get(ROOT)).toBeDefined();
  });

  it.each([
    ['is there all the same', 'lookupsFail'],
    ['cannot be told either way', 'listFails'],
  ] as const)(
    'outlives a tombstone while libvirt fails to look up a domain that %s',
    async (_what, fault) => {
      const { parts, reconciler } = await applied();
      host.lookupsFail = true;
      host[fault] = true;
      entomb(SERVER);
      await reconciler.changed([SERVER]);
      expect(reports.get(SERVER)?.state).toBe('error');
      expect(machine.files.get(ROOT)).toBeDefined();
      expect([...machine.domains.values()]).toMatchObject([{ state: 'running' }]);
      // nor is a volume free that such a domain may have
      await expect(parts.compute.diskUser(volumeFile())).rejects.toThrow();
      host.lookupsFail = false;
      host.listFails = false;
      await until(() => reports.get(SERVER)?.state === 'gone');
      expect(machine.files.get(ROOT)).toBeUndefined();
      expect(machine.domains.size).toBe(0);
    },
  );
});
