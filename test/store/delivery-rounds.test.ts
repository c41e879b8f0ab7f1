import { expect, it } from 'vitest';
import type { AnyHostKind } from '../../src/desired/kind.js';
import type { AgentClients } from '../../src/hosts/agent-clients.js';
import { Delivery } from '../../src/hosts/delivery.js';
import { specDigest } from '../../src/protocol/keys.js';
import { createLogger } from '../../src/protocol/log.js';
import type { SpecPush } from '../../src/protocol/messages.js';
import { deleteHost } from '../../src/store/hosts.js';
import { recordChange, type Store } from '../../src/store/store.js';
import { addHosts } from '../support/host-rows.js';
import { forEachStore } from '../support/stores.js';

/** A delivery to hosts that take every push; a round can be held while it works out whom a change concerns. */
class Scene {
  readonly store: Store;
  readonly delivery: Delivery;
  readonly pushed: string[] = [];
  readonly #hold = new Map<string, { begun: () => void; go: Promise<void> }>();

  constructor(store: Store) {
    this.store = store;
    const kind: AnyHostKind = {
      kind: 'port',
      dependsOn: ['port'],
      hostsOf: async (_db, { id }) => {
        const held = this.#hold.get(id);
        held?.begun();
        await held?.go;
        return [];
      },
      objects: async () => new Map(),
    };
    const clients = {
      for: ({ id }: { id: string }) => ({
        request: async (_method: string, _path: string, push: SpecPush) => {
          this.pushed.push(id);
          return { status: 200, body: { digest: specDigest({}, push.settings!) } };
        },
      }),
    };
    this.delivery = new Delivery({
      store,
      clients: clients as unknown as AgentClients,
      log: createLogger('error', {}, () => {}),
      incarnations: { current: async () => 'i', asOf: async () => 1, refused: async () => false },
      drift: () => ({}),
      kinds: [kind],
      onContact: () => {},
      onForeignHost: () => {},
    });
  }

  async start(): Promise<void> {
    this.delivery.start();
    await this.addHost('first');
    this.delivery.own('first', null);
    await this.until('the first host has its spec', () => this.pushed.includes('first'));
  }

  async addHost(id: string): Promise<void> {
    await addHosts(this.store, id);
  }

  /** Does something while a round is under way that reads what there was before. */
  async duringRound(body: () => Promise<void>): Promise<void> {
    const id = `held-${this.#hold.size}`;
    let go = () => {};
    const begun = new Promise<void>((resolve) => {
      this.#hold.set(id, { begun: resolve, go: new Promise((released) => (go = released)) });
    });
    await this.store.tx((tx) => recordChange(tx, 'port', id));
    await begun;
    try {
      await body();
    } finally {
      go();
    }
  }

  async until(what: string, done: () => boolean): Promise<void> {
    for (const deadline = performance.now() + 30_000; !done(); ) {
      if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

forEachStore('a round of delivery', (openStore) => {
  it('that began before a host’s row was there leaves the host to the next', async () => {
    const scene = new Scene(await openStore());
    const { delivery, pushed } = scene;
    try {
      await scene.start();
      await scene.duringRound(async () => {
        await scene.addHost('late');
        delivery.own('late', null);
      });
      await scene.until('served or given up', () => pushed.includes('late') || !delivery.of('late'));
      expect(delivery.of('late')).toBeDefined();
      await scene.until('its spec is delivered', () => delivery.of('late')?.fault === null);
    } finally {
      await delivery.close();
    }
  });

  it('gives up a host whose row is gone', async () => {
    const scene = new Scene(await openStore());
    const { delivery } = scene;
    try {
      await scene.start();
      await scene.store.tx((tx) => deleteHost(tx, 'first'));
      delivery.of('first')!.resync();
      await scene.until('given up', () => delivery.of('first') === undefined);
    } finally {
      await delivery.close();
    }
  });
});
