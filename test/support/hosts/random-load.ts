import type { FaultScene } from './fault-scene.js';

interface Population {
  readonly servers: string[];
  readonly volumes: string[];
  readonly floatingIps: string[];
  readonly rules: string[];
}

/**
 * Does things at random, one after another, without waiting for what they bring about: create, delete, power, addresses, rules, ports,
 * volumes. Refusals because an earlier operation is still under way are part of it.
 */
export class RandomLoad {
  readonly #scene: FaultScene;
  readonly #random: () => number;
  readonly #has: Population = { servers: [], volumes: [], floatingIps: [], rules: [] };

  #kept: string | null = null;
  /** Rules begin at ports of their own: two that say the same are refused. */
  #nextPort = 1000;

  constructor(scene: FaultScene, random: () => number) {
    this.#scene = scene;
    this.#random = random;
  }

  /** One server is there from the first to the last, so that something is up whatever else happens. */
  async run(operations: number): Promise<void> {
    this.#kept ??= await this.#scene.server();
    for (let n = 0; n < operations; n++) await this.#one();
  }

  /** Takes everything away again. */
  async end(): Promise<void> {
    const { tenant } = this.#scene;
    const { servers, volumes, floatingIps, rules } = this.#has;
    for (const id of floatingIps.splice(0)) await tenant.delete('floatingip', id);
    for (const id of servers.splice(0)) await tenant.delete('server', id);
    if (this.#kept) await tenant.delete('server', this.#kept);
    this.#kept = null;
    for (const id of rules.splice(0)) await tenant.delete('security_group_rule', id);
    for (const id of volumes.splice(0)) await this.#deleteVolume(id);
  }

  async #one(): Promise<void> {
    const { tenant, externalId, groupId } = this.#scene;
    const { servers, volumes, floatingIps, rules } = this.#has;
    const server = this.#pick(servers);
    const operations: (() => Promise<unknown>)[] = [
      async () => servers.push(await this.#scene.server({ config_drive: this.#random() < 0.5 })),
      async () => volumes.push(await tenant.create('volume', { size: 1 })),
      async () =>
        rules.push(
          await tenant.create('security_group_rule', {
            security_group_id: groupId,
            direction: 'ingress',
            protocol: 'tcp',
            port_range_min: ++this.#nextPort,
            port_range_max: this.#nextPort + Math.floor(this.#random() * 1000),
            ...(this.#random() < 0.5 && { remote_group_id: groupId }),
          }),
        ),
      async () => floatingIps.push(await tenant.create('floatingip', { floating_network_id: externalId })),
      async () => {
        const id = this.#take(rules);
        if (id) await tenant.delete('security_group_rule', id);
      },
      async () => {
        const id = this.#take(volumes);
        if (id) await this.#deleteVolume(id);
      },
      async () => {
        const id = this.#take(floatingIps);
        if (id) await tenant.delete('floatingip', id);
      },
    ];
    if (server) {
      const power = [
        { 'os-stop': null },
        { 'os-start': null },
        { reboot: { type: 'HARD' } },
        { reboot: { type: 'SOFT' } },
      ];
      operations.push(
        async () => {
          const id = this.#take(servers);
          if (id) await tenant.delete('server', id);
        },
        () => tenant.act(server, this.#pick(power)!),
        () => tenant.act(server, this.#pick(power)!),
        async () => {
          const floating = this.#pick(floatingIps);
          // 409: the server has another one already
          if (floating)
            await tenant.attach(floating, this.#random() < 0.7 ? await tenant.portOf(server) : null, [409]);
        },
        async () => {
          const port = await tenant.portOf(server);
          const pairs = this.#random() < 0.5 ? [{ ip_address: '10.0.0.50' }] : [];
          await tenant.insist('PUT', `/network/v2.0/ports/${port}`, {
            port: { allowed_address_pairs: pairs, security_groups: this.#random() < 0.5 ? [] : [groupId] },
          });
        },
      );
    }
    await this.#pick(operations)!();
  }

  /** A volume that is still being made cannot be deleted: good clients ask again. */
  async #deleteVolume(id: string): Promise<void> {
    const { tenant } = this.#scene;
    await tenant.cloud.waitFor(`volume ${id} can be deleted`, async () => {
      const reply = await tenant.cloud.request<{ volume?: { status: string } }>(
        'GET',
        `${tenant.path('volume')}/${id}`,
      );
      const status = reply.body?.volume?.status ?? '';
      return ['available', 'error'].includes(status) ? [] : [`it is ${status}`];
    });
    await tenant.delete('volume', id);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random() * from.length)];
  }

  #take(from: string[]): string | undefined {
    return from.splice(Math.floor(this.#random() * from.length), 1)[0];
  }
}
