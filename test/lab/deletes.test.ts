import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Inventory, inventory } from '../support/inventory.js';
import { Lab, until } from '../support/lab.js';
import { machine } from '../support/machine.js';
import { Scene } from '../support/scene.js';

/**
 * Deleting what is on a host that is off: for the API it is gone once the host counts as down, its addresses stay taken, and
 * when the host is back, what was deleted goes and the addresses are free.
 */
const HOST = 'host1';
const MINUTES = 60_000;
/** `host_down_after` of a lab, and what the sweeps and a busy machine add to it. */
const DOWN_S = 30;
const SLACK_S = 60;

let lab: Lab;
let scene: Scene;
let before: Inventory;
let stopped: { readonly pid: number; readonly parent: number } | null = null;

beforeAll(async () => {
  lab = await Lab.open();
  scene = await Scene.create(lab, 'deletes');
  await scene.settled(HOST);
}, 25 * MINUTES);

afterAll(async () => {
  if (stopped !== null) await hostOn();
  await scene?.remove();
}, 5 * MINUTES);

beforeEach(async () => {
  before = await inventory(lab, HOST);
}, 3 * MINUTES);

describe('with the host off', () => {
  it.each(['its guests running on', 'its guests dead, and the controller killed as well'])(
    'a deletion converges: %s',
    async (variant) => {
      const dead = variant.includes('dead');
      const id = await scene.server('deletes');
      const { fixed, floating } = await addresses(id);
      const volume = (await lab.openstack('demo', 'volume', 'create', '--size', '1', 'deletes')).id as string;
      await until(
        'the volume',
        120,
        async () => (await lab.openstack('demo', 'volume', 'show', volume)).status,
        (status) => status === 'available',
      );

      await hostOff();
      if (dead) await lab.onHost(HOST, 'pkill', '-KILL', '-f', 'qemu-system');
      await lab.openstackText('demo', 'server', 'delete', id);
      await lab.openstackText('demo', 'volume', 'delete', volume);
      await lab.openstackText('demo', 'floating', 'ip', 'delete', floating);
      if (dead) await restartController();
      await until('404 for the server', DOWN_S + SLACK_S, () => gone('server', id));
      await until('404 for the volume', SLACK_S, () => gone('volume', volume));

      expect(await claim(fixed, floating)).toEqual({ fixed: 'taken', floating: 'taken' });
      const explained = JSON.parse(await lab.maru(['server', 'explain', id, '--json']));
      expect(explained).toMatchObject({
        status: 'DELETED',
        wants: expect.stringMatching(/^nothing: deleted/),
      });
      const owed = explained.owed.join('\n');
      expect(owed).toContain('host1 (down) has to destroy its guest and disks');
      expect(owed).toContain(`before address ${fixed} is given out again`);
      const status = JSON.parse(await lab.maru(['status', '--json'], [1]));
      expect(JSON.stringify(status.problems)).toMatch(
        /Host host1 is down and has 2 deleted server\(s\) or volume\(s\) to destroy/,
      );
      if (!dead) expect(await lab.onHost(HOST, 'virsh', 'list', '--uuid')).toContain(id);

      await hostOn();
      await until(
        'the end of the domain',
        180,
        () => lab.onHost(HOST, 'virsh', 'list', '--all', '--uuid'),
        (uuids) => !uuids.includes(id),
      );
      await until(
        'free addresses',
        180,
        () => claim(fixed, floating),
        (now) => now.fixed === 'free' && now.floating === 'free',
      );
      const after = JSON.parse(await lab.maru(['server', 'explain', id, '--json']));
      expect(after.owed).toEqual([]);
      await until('nothing left on the host', 120, leftovers, (left) => left.length === 0);
    },
    15 * MINUTES,
  );
});

/** Takes the host's agent from under everybody's eyes: it neither answers nor ends, so that nobody starts another. */
async function hostOff(): Promise<void> {
  const { agent } = (await lab.status()).hosts.find(({ name }) => name === HOST)!;
  const pid = agent!.pid!;
  const parent = Number((await machine.read('ps', ['-o', 'ppid=', '-p', String(pid)])).stdout);
  stopped = { pid, parent };
  machine.kill(pid, 'SIGSTOP');
}

/** Ends the agent that was stopped; the one that is started in its place knows only what is on disk. */
async function hostOn(): Promise<void> {
  const { pid: old, parent } = stopped!;
  stopped = null;
  machine.kill(old, 'SIGKILL');
  // nsenter stops together with what it runs
  machine.kill(parent, 'SIGCONT');
  await until(
    'another agent',
    90,
    async () => (await lab.status()).hosts.find(({ name }) => name === HOST)?.agent?.pid,
    (pid) => !!pid && pid !== old,
  );
}

/** What the host has now and had not before, or the other way round; routers that came back may have been made anew. */
async function leftovers(): Promise<string[]> {
  const now = await inventory(lab, HOST);
  return ['domains', 'files', 'mounts', 'namespaces', 'links of the host'].flatMap((what) => {
    const then = before[what] ?? [];
    const here = now[what] ?? [];
    const differing = [
      ...then.filter((name) => !here.includes(name)),
      ...here.filter((name) => !then.includes(name)),
    ];
    return differing.map((name) => `${what}: ${name}`);
  });
}

async function restartController(): Promise<void> {
  const old = (await lab.status()).controller!.pid!;
  machine.kill(old, 'SIGKILL');
  await until(
    'another controller',
    90,
    async () => (await lab.status()).controller?.pid,
    (pid) => !!pid && pid !== old,
  );
}

async function addresses(id: string): Promise<{ fixed: string; floating: string }> {
  const floating = await scene.floatingIp(id, { kept: false });
  const ports = (await lab.openstack('demo', 'port', 'list', '--server', id)) as {
    'Fixed IP Addresses': { ip_address: string }[];
  }[];
  return { fixed: ports[0]!['Fixed IP Addresses'][0]!.ip_address, floating };
}

async function gone(kind: 'server' | 'volume', id: string): Promise<boolean> {
  try {
    await lab.openstack('demo', kind, 'show', id);
    return false;
  } catch (error) {
    return /404|No .* (with|found)|could not be found|does not exist/i.test(String(error));
  }
}

/** Whether a new port and a new floating IP can have the addresses; what could be made is removed again. */
async function claim(
  fixed: string,
  floating: string,
): Promise<{ fixed: 'free' | 'taken'; floating: 'free' | 'taken' }> {
  return {
    fixed: await attempt(
      /already allocated|in use/i,
      ['port', 'create', '--network', scene.name, '--fixed-ip', `ip-address=${fixed}`, 'deletes-again'],
      ['port', 'delete', 'deletes-again'],
    ),
    floating: await attempt(
      /already allocated|in use/i,
      // an address of one's choice is for administrators
      ['floating', 'ip', 'create', '--floating-ip-address', floating, 'public'],
      ['floating', 'ip', 'delete', floating],
    ),
  };
}

async function attempt(
  refusal: RegExp,
  make: readonly string[],
  remove: readonly string[],
): Promise<'free' | 'taken'> {
  const cloud = make[0] === 'floating' ? 'maru' : 'demo';
  try {
    await lab.openstack(cloud, ...make);
  } catch (error) {
    if (refusal.test(String(error))) return 'taken';
    throw error;
  }
  await lab.openstackText(cloud, ...remove);
  return 'free';
}
