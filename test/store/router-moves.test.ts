import { expect, it } from 'vitest';
import { createFloatingIp } from '../../src/core/floating-ip/floating-ip.js';
import { setGateway } from '../../src/core/router/gateway.js';
import { beginMove, placeRouter } from '../../src/core/router/place.js';
import { sweepRouters } from '../../src/core/router/sweep.js';
import { routerMove } from '../../src/core/router/tasks/move.js';
import { routerKind } from '../../src/desired/network-kinds.js';
import { specObject } from '../../src/protocol/keys.js';
import type { ProbeReply, ProbeRequest } from '../../src/protocol/messages.js';
import type { RouterObject } from '../../src/protocol/objects.js';
import { deleteHost, setPhysicalNetworks, updateHost } from '../../src/store/hosts.js';
import { readIncarnation, replaceIncarnation } from '../../src/store/incarnation.js';
import { portsOfDevice } from '../../src/store/network/port.js';
import { routerPlacements } from '../../src/store/network/router-place.js';
import type { Store } from '../../src/store/store.js';
import { Killed, onKillPoints } from '../../src/tasks/kill-points.js';
import type { TaskKind } from '../../src/tasks/kind.js';
import { Tasks } from '../../src/tasks/tasks.js';
import { NetworkCore } from '../support/network-core.js';
import { forEachStore } from '../support/stores.js';

/** Three hosts with the provider network; a router on h1, with a guest's network of h1 and h3. */
class World {
  readonly down = new Set<string>();
  /** Not heard of yet since the controller started. */
  readonly unheard = new Set<string>();
  /** Who answers for any address, as witnesses find; null: witnesses do not reply. */
  answering: string | null = '';
  /** Milliseconds since a host that is down was heard of; negative, so that what a test makes is old enough to be known to it. */
  silence = -60_000;
  readonly probed: { readonly hostId: string; readonly request: ProbeRequest }[] = [];
  readonly core: NetworkCore;
  routerId = '';
  networkId = '';

  private constructor(readonly store: Store) {
    const hosts = {
      isUp: (id: string) => !this.down.has(id) && !this.unheard.has(id),
      isDown: (id: string) => this.down.has(id),
      silence: () => this.silence,
      deliveryFault: () => null,
      probe: async (hostId: string, request: ProbeRequest): Promise<ProbeReply> => {
        this.probed.push({ hostId, request });
        if (this.answering === null) throw new Error('no reply');
        const [{ network, addresses }] = request.targets as [ProbeRequest['targets'][number]];
        const answer = { network_id: network.id, address: addresses[0]!, mac: this.answering };
        return { unknown_networks: [], answers: this.answering ? [answer] : [] };
      },
    };
    this.core = new NetworkCore(store, { hosts: hosts as never });
  }

  static async create(store: Store): Promise<World> {
    const world = new World(store);
    const { core } = world;
    await core.host('h1');
    await store.tx(async (tx) => {
      const external = await core.network(tx, {
        'router:external': true,
        'provider:network_type': 'flat',
        'provider:physical_network': 'extnet',
      });
      await core.subnet(tx, external.id, '172.24.4.0/24', { enable_dhcp: false });
      const network = await core.network(tx);
      const subnet = await core.subnet(tx, network.id, '10.0.0.0/24');
      const router = await core.router(tx, { external_gateway_info: { network_id: external.id } });
      await core.connect(tx, router, subnet.id);
      world.routerId = router.id;
      world.networkId = network.id;
    });
    for (const host of ['h2', 'h3']) await core.host(host);
    await store.tx((tx) => core.server(tx, [{ network: network(world) }], 'h3'));
    await core.applied('h1', world.key);
    return world;
  }

  get key(): `router/${string}` {
    return `router/${this.routerId}`;
  }

  async router() {
    return (await routerPlacements(this.store.read, [this.routerId]))[0]!;
  }

  async owner(): Promise<string> {
    const { host_id, host_epoch } = await this.router();
    return `${host_id}@${host_epoch}`;
  }

  /** What a host is to do about the router. */
  async object(hostId: string): Promise<RouterObject | undefined> {
    return (await routerKind.objects(this.store.read, hostId)).get(this.routerId);
  }

  async statuses(): Promise<string[]> {
    const ports = await portsOfDevice(this.store.read, this.routerId);
    return [...new Set(ports.map((port) => port.status))];
  }

  /** As the controller does every two seconds, and its runner all the time. */
  async settle(): Promise<void> {
    await sweepRouters(this.core.app);
    await this.store.tx((tx) => this.core.app.tasks.wake(tx, { kind: 'router', id: this.routerId }));
    await this.core.app.tasks.drain();
  }

  async task() {
    return await this.core.app.tasks.rows.activeOf(this.store.read, 'router', this.routerId);
  }

  async move(target: string | null): Promise<void> {
    await this.store.tx(async (tx) => beginMove(tx, this.core.app, await this.router(), target, 'a test'));
  }
}

function network(world: World): string {
  return world.networkId;
}

forEachStore('a router', (openStore) => {
  const create = async () => await World.create(await openStore());

  it('moves only when its host has reported that it gave it up', async () => {
    const world = await create();
    expect(await world.owner()).toBe('h1@1');
    expect(await world.statuses()).toEqual(['ACTIVE']);
    const { store, core } = world;
    await store.tx((tx) => setPhysicalNetworks(tx, 'h1', []));
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect(await world.object('h1')).toMatchObject({ withdrawn: true, epoch: 1, interfaces: [] });
    expect(await world.object('h2')).toBeUndefined();
    expect(await world.statuses()).toEqual(['DOWN']);
    // whatever else is heard is no receipt: an old report, an error, another host's word
    const revision = specObject<'router'>((await world.object('h1'))!).revision;
    await core.report('h1', { key: world.key, revision: 'old', state: 'applied' });
    await core.report('h1', { key: world.key, revision, state: 'error', error: { message: 'no' } });
    await core.report('h2', { key: world.key, revision, state: 'applied' });
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect((await world.task())?.waiting_for).toContain('h1');

    await core.applied('h1', world.key);
    expect(await world.owner()).toBe('h2@2');
    expect(await world.object('h1')).toBeUndefined();
    expect(await world.object('h2')).toMatchObject({
      epoch: 2,
      interfaces: [{ network_id: world.networkId }],
    });
    expect(await world.statuses()).toEqual(['DOWN']);
    await core.applied('h2', world.key);
    expect(await world.statuses()).toEqual(['ACTIVE']);
    await world.settle();
    expect(await world.task()).toBeFalsy();
    expect(world.probed).toEqual([]);
    core.close();
  });

  it('goes where an operator wants it, and its next host has its networks before', async () => {
    const world = await create();
    await world.move('h3');
    expect((await world.router()).next_host_id).toBe('h3');
    await world.core.applied('h1', world.key);
    expect(await world.owner()).toBe('h3@2');
    // back to the host that gave it up: under a newer epoch
    await world.core.applied('h3', world.key);
    await world.settle();
    await world.move('h1');
    await world.core.applied('h3', world.key);
    expect(await world.owner()).toBe('h1@3');
    expect(await world.object('h1')).toMatchObject({ epoch: 3, admin_state_up: true });
    world.core.close();
  });

  it('stays on a host that is disabled', async () => {
    const world = await create();
    await world.store.tx((tx) => updateHost(tx, 'h1', { enabled: 0 }));
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect(await world.task()).toBeFalsy();
    world.core.close();
  });

  it('leaves a silent host only when others find that nobody answers for it', async () => {
    const world = await create();
    world.down.add('h1');
    world.answering = 'fa:16:3e:00:00:01';
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect((await world.task())?.waiting_for).toContain('fa:16:3e:00:00:01');
    world.answering = null;
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect((await world.task())?.waiting_for).toContain('no host could tell');
    world.answering = '';
    world.probed.length = 0;
    await world.settle();
    expect(await world.owner()).toBe('h2@2');
    // both of its networks were asked about, each on hosts that have it
    const asked = world.probed.flatMap(({ hostId, request }) =>
      request.targets.map(
        ({ network: { id, type } }) => `${hostId} ${id === world.networkId ? 'tenant' : type}`,
      ),
    );
    expect(new Set(asked)).toEqual(new Set(['h3 tenant', 'h2 flat', 'h3 flat']));

    // the host is back: it has to give up what it may still run, and the router stays where it is
    world.down.delete('h1');
    await world.settle();
    expect(await world.object('h1')).toMatchObject({ withdrawn: true, epoch: 1 });
    expect(await world.owner()).toBe('h2@2');
    await world.core.applied('h1', world.key);
    expect(await world.object('h1')).toBeUndefined();
    expect(await world.owner()).toBe('h2@2');
    world.core.close();
  });

  it('is not declared gone by a host that its own host was never told of, and would not answer', async () => {
    const world = await create();
    world.silence = 3_600_000;
    world.down.add('h1');
    await world.settle();
    const asked = world.probed.flatMap(({ request }) => request.targets.map(({ network: { id } }) => id));
    expect(asked).not.toContain(world.networkId);
    expect(await world.owner()).toBe('h2@2');
    world.core.close();
  });

  it('does not leave when nobody can tell', async () => {
    const world = await create();
    for (const host of ['h1', 'h2', 'h3']) world.down.add(host);
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect(world.probed).toEqual([]);
    expect((await world.task())?.waiting_for).toContain('no other host');
    world.core.close();
  });

  it('stays, untouched, on a silent host that others still hear', async () => {
    const world = await create();
    world.down.add('h1');
    world.answering = 'fa:16:3e:00:00:01';
    await world.settle();
    expect(await world.object('h1')).toMatchObject({ epoch: 1, admin_state_up: true });
    expect(await world.statuses()).toEqual(['ACTIVE']);
    world.down.delete('h1');
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect(await world.task()).toBeFalsy();
    world.core.close();
  });

  it('goes back to waiting for the receipt when its host is heard of again while it was to give it up', async () => {
    const world = await create();
    await world.move('h2');
    world.down.add('h1');
    world.answering = 'fa:16:3e:00:00:01';
    await world.settle();
    world.down.delete('h1');
    world.answering = '';
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect((await world.task())?.step).toBe('receipt');
    await world.core.applied('h1', world.key);
    expect(await world.owner()).toBe('h2@2');
    world.core.close();
  });

  it('needs no receipt of a host that was removed', async () => {
    const world = await create();
    await world.move('h2');
    await world.store.tx((tx) => deleteHost(tx, 'h1'));
    await world.settle();
    expect(await world.owner()).toBe('h2@2');
    await world.core.applied('h2', world.key);
    await world.settle();
    await world.store.tx((tx) => deleteHost(tx, 'h2'));
    await world.settle();
    expect(await world.owner()).toBe('h3@3');
    world.core.close();
  });

  it('is not taken from a host without its provider network as long as no other host can have it', async () => {
    const world = await create();
    const { store, core } = world;
    for (const host of ['h2', 'h3']) await store.tx((tx) => setPhysicalNetworks(tx, host, []));
    await store.tx((tx) => setPhysicalNetworks(tx, 'h1', []));
    for (let look = 0; look < 3; look++) await world.settle();
    // its networks inside go on being served
    expect(await world.object('h1')).toMatchObject({ epoch: 1, admin_state_up: true });
    expect(await world.statuses()).toEqual(['ACTIVE']);
    expect(await world.task()).toBeFalsy();

    // the host that could have had it is lost while others are asked whether its own is gone, which then is back
    await store.tx((tx) => setPhysicalNetworks(tx, 'h2', ['extnet']));
    world.down.add('h1');
    world.answering = null;
    await world.settle();
    expect((await world.task())?.step).toBe('witness');
    await store.tx((tx) => setPhysicalNetworks(tx, 'h2', []));
    world.down.delete('h1');
    await world.settle();
    expect(await world.object('h1')).toMatchObject({ epoch: 1, admin_state_up: true });
    expect(await world.task()).toBeFalsy();

    await store.tx((tx) => setPhysicalNetworks(tx, 'h2', ['extnet']));
    await world.settle();
    await core.applied('h1', world.key);
    expect(await world.owner()).toBe('h2@2');
    core.close();
  });

  it('waits for a host that may turn out to be up, and says which', async () => {
    const world = await create();
    await world.store.tx((tx) => setPhysicalNetworks(tx, 'h1', []));
    await world.settle();
    world.unheard.add('h2');
    await world.store.tx((tx) => updateHost(tx, 'h3', { enabled: 0 }));
    await world.core.applied('h1', world.key);
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect((await world.task())?.waiting_for).toBe(
      "for an enabled host with provider network 'extnet' that is up (name-of-h2 is not heard of yet, name-of-h3 is disabled)",
    );
    world.unheard.delete('h2');
    await world.settle();
    expect(await world.owner()).toBe('h2@2');
    world.core.close();
  });

  const losses: readonly [string, (world: World, host: string) => Promise<void>][] = [
    ['is down', async ({ down }, host) => void down.add(host)],
    ['was removed', async ({ store }, host) => void (await store.tx((tx) => deleteHost(tx, host)))],
    [
      'was disabled',
      async ({ store }, host) => void (await store.tx((tx) => updateHost(tx, host, { enabled: 0 }))),
    ],
  ];
  it.each(losses)('is back at once, under a new epoch, when each other host %s', async (_how, lose) => {
    for (const given of [false, true]) {
      const world = await create();
      // it can have no gateway there, but serves its networks inside
      await world.store.tx((tx) => setPhysicalNetworks(tx, 'h1', []));
      await world.settle();
      expect((await world.task())?.step).toBe('receipt');
      const revision = specObject<'router'>((await world.object('h1'))!).revision;
      await lose(world, 'h2');
      await world.settle();
      // one is left
      expect(await world.owner()).toBe('h1@1');
      await lose(world, 'h3');
      if (given) await world.core.report('h1', { key: world.key, revision, state: 'applied' });
      await world.settle();
      expect(await world.owner()).toBe('h1@2');
      expect(await world.object('h1')).toMatchObject({ epoch: 2, admin_state_up: true });
      expect(await world.task()).toBeFalsy();
      // the receipt of what was given up comes late
      await world.core.report('h1', { key: world.key, revision, state: 'applied' });
      await world.settle();
      expect(await world.owner()).toBe('h1@2');
      expect(await world.object('h1')).toMatchObject({ epoch: 2, admin_state_up: true });
      world.core.close();
    }
  });

  it('is not given back to a host that is silent itself, nor to another before the old one has answered', async () => {
    const world = await create();
    await world.move('h2');
    for (const host of ['h1', 'h2', 'h3']) world.down.add(host);
    for (let look = 0; look < 3; look++) await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect((await world.task())?.waiting_for).toMatch(
      /no other host that is up can tell .*\(name-of-h2, name-of-h3 could, once up\); .* maru host remove name-of-h1/,
    );
    // found gone by the one that is back, which cannot have it
    await world.store.tx((tx) => updateHost(tx, 'h3', { enabled: 0 }));
    world.down.delete('h3');
    await world.settle();
    expect((await world.task())?.step).toBe('place');
    expect((await world.task())?.waiting_for).toContain('name-of-h2 is down, name-of-h3 is disabled');
    // what was found then is asked again when there is a host for it: somebody answers now
    world.answering = 'fa:16:3e:00:00:01';
    world.down.delete('h2');
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    // the old host is heard of: what counts is its own word
    world.down.delete('h1');
    world.answering = '';
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    expect(await world.object('h2')).toBeUndefined();
    expect((await world.task())?.waiting_for).toBe('for host name-of-h1 to give the router up');
    await world.core.applied('h1', world.key);
    expect(await world.owner()).toBe('h2@2');
    expect(await world.object('h1')).toBeUndefined();
    world.core.close();
  });

  it('waits for the word of a host that was found gone and came back before another had its router', async () => {
    const world = await create();
    for (const host of ['h2', 'h3']) await world.store.tx((tx) => setPhysicalNetworks(tx, host, []));
    world.down.add('h1');
    await world.settle();
    expect((await world.task())?.step).toBe('place');
    world.down.delete('h1');
    await world.store.tx((tx) => setPhysicalNetworks(tx, 'h2', ['extnet']));
    await world.store.tx((tx) => setPhysicalNetworks(tx, 'h1', []));
    await world.settle();
    expect(await world.owner()).toBe('h1@1');
    await world.core.applied('h1', world.key);
    expect(await world.owner()).toBe('h2@2');
    world.core.close();
  });

  it('is given back when its move is cancelled, under a new epoch', async () => {
    const world = await create();
    await world.move('h2');
    const task = (await world.task())!;
    await world.store.tx((tx) => world.core.app.tasks.cancel(tx, task));
    await world.core.app.tasks.drain();
    expect(await world.owner()).toBe('h1@2');
    expect(await world.object('h1')).toMatchObject({ epoch: 2, admin_state_up: true });
    // the receipt of what was given up comes late
    await world.settle();
    expect(await world.owner()).toBe('h1@2');
    world.core.close();
  });

  it('is confirmed where somebody else answers for it, once no other host may run it', async () => {
    const world = await create();
    world.down.add('h1');
    await world.settle();
    world.down.delete('h1');
    expect(await world.owner()).toBe('h2@2');
    const contested = async () => {
      const revision = specObject<'router'>((await world.object('h2'))!).revision;
      const error = { message: 'taken', code: 'address-in-use' as const };
      await world.core.report('h2', { key: world.key, revision, state: 'error', error });
      await world.settle();
    };
    await contested();
    expect(await world.owner()).toBe('h2@2');
    // h1, which may have been the one that answered, has given it up
    await world.core.applied('h1', world.key);
    await world.settle();
    expect(await world.owner()).toBe('h2@3');
    world.core.close();
  });

  it('is under an epoch that no host has seen once a backup was restored, also in the middle of a move', async () => {
    const world = await create();
    await world.move('h2');
    await world.store.tx(async (tx) => replaceIncarnation(tx, await readIncarnation(tx), 'a test'));
    expect(await world.owner()).toBe('h1@1001');
    // the move that was under way ends, the next look begins it anew
    for (let look = 0; look < 2; look++) await world.settle();
    expect(await world.object('h1')).toMatchObject({ withdrawn: true, epoch: 1001 });
    await world.core.applied('h1', world.key);
    await world.settle();
    expect(await world.owner()).toBe('h2@1002');
    world.core.close();
  });

  it('goes to the least loaded host that is up', async () => {
    const world = await create();
    const { core, store } = world;
    world.down.add('h2');
    const external = (
      await core.store.read.selectFrom('network').select('id').where('external', '=', 1).execute()
    )[0]!;
    const make = async () => {
      const router = await store.tx((tx) =>
        core.router(tx, { external_gateway_info: { network_id: external.id } }),
      );
      return (await routerPlacements(store.read, [router.id]))[0]!.host_id;
    };
    expect([await make(), await make(), await make()].sort()).toEqual(['h1', 'h3', 'h3']);
    core.close();
  });

  it('comes through when the controller is killed at any point of its move', async () => {
    const names = Object.keys(routerMove({} as never).steps);
    expect(names).toEqual(['withdraw', 'receipt', 'witness', 'place', 'raise']);
    for (const how of ['receipt', 'witness'] as const) {
      const world = await create();
      const { core, store } = world;
      const points: string[] = [];
      for (let round = 0; round < 40; round++) {
        // a new controller on the same rows
        const tasks = new Tasks({
          store,
          log: core.app.log,
          leaseSeconds: 30,
          pollSeconds: 0.05,
          retrySeconds: 0.01,
        });
        Object.assign(core.app, { tasks });
        tasks.register(routerMove(core.app) as unknown as TaskKind);
        let killed: string | null = null;
        const stop = onKillPoints((point) => {
          if (killed || points.includes(point)) return;
          killed = point;
          points.push(point);
          throw new Killed(point);
        });
        try {
          if (how === 'receipt') await store.tx((tx) => setPhysicalNetworks(tx, 'h1', []));
          else world.down.add('h1');
          await sweepRouters(core.app);
          await tasks.drain();
          if ((await world.object('h1'))?.withdrawn && how === 'receipt') await core.applied('h1', world.key);
          await tasks.drain();
          const { host_id } = await world.router();
          if (host_id !== 'h1') await core.applied(host_id!, world.key);
          await tasks.drain();
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
        } finally {
          stop();
          await tasks.close();
        }
        const alive = [...(await Promise.all(['h1', 'h2', 'h3'].map((id) => world.object(id))))];
        expect(alive.filter((object) => object && !object.withdrawn).length).toBeLessThanOrEqual(1);
        // the lease of what was killed ends
        await store.tx((tx) => tx.updateTable('task').set({ lease_until: null }).execute());
        if (killed === null && !(await core.app.tasks.rows.activeOf(store.read, 'router', world.routerId)))
          break;
      }
      expect(await world.owner()).toBe('h2@2');
      expect(await world.statuses()).toEqual(['ACTIVE']);
      // what follows in one transaction is killed with what comes before it
      const steps =
        how === 'receipt' ? ['withdraw', 'receipt', 'place', 'raise'] : ['withdraw', 'witness', 'place'];
      for (const step of steps) {
        const reached = points.filter((point) => point.startsWith(`router.move/${step}:`));
        expect(reached.length, `${step} of ${points.join(' ')}`).toBeGreaterThanOrEqual(2);
      }
      core.close();
    }
  }, 120_000);

  it('keeps its address outside while it moves, and hosts never see two owners', async () => {
    const world = await create();
    const { core, store } = world;
    const external = (
      await core.store.read.selectFrom('network').select('id').where('external', '=', 1).execute()
    )[0]!;
    const [port] = await store.read
      .selectFrom('port')
      .select('id')
      .where('server_id', 'is not', null)
      .execute();
    await store.tx((tx) =>
      createFloatingIp(tx, core.app, core.ctx, {
        project_id: 'project',
        description: '',
        floating_network_id: external.id,
        port_id: port!.id,
        dns_name: '',
        dns_domain: '',
      }),
    );
    const before = (await world.object('h1'))!;
    await world.move('h2');
    await core.applied('h1', world.key);
    const after = (await world.object('h2'))!;
    expect({ ...after, epoch: 0 }).toEqual({ ...before, epoch: 0 });
    await core.applied('h2', world.key);
    await world.settle();
    // looked at again while it moves: that changes nothing
    await world.move('h3');
    await store.tx((tx) => placeRouter(tx, core.app, world.routerId));
    await core.applied('h2', world.key);
    expect(await world.owner()).toBe('h3@3');
    await expect(
      store.tx(async (tx) => {
        const router = await tx
          .selectFrom('router')
          .selectAll()
          .where('id', '=', world.routerId)
          .executeTakeFirstOrThrow();
        await setGateway(tx, core.app, core.ctx, router, null);
      }),
    ).rejects.toMatchObject({ type: 'RouterExternalGatewayInUseByFloatingIp' });
    core.close();
  });
});
