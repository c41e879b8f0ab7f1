import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lab, until } from './lab.js';

/** What a tenant needs around a server, made with the openstack command; `remove` takes it all away again. */
export class Scene {
  readonly name: string;
  readonly keyFile: string;
  readonly #lab: Lab;
  readonly #directory: string;
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly #servers: string[] = [];

  private constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.name = name;
    this.#directory = mkdtempSync(join(tmpdir(), 'maru-scene-'));
    this.keyFile = join(this.#directory, 'key');
  }

  /** Network, subnet, router with gateway, security group for ping and ssh, and a key pair, all called `name`. */
  static async create(lab: Lab, name: string): Promise<Scene> {
    const scene = new Scene(lab, name);
    try {
      await scene.#build();
      return scene;
    } catch (error) {
      await scene.remove();
      throw error;
    }
  }

  /** Makes a server and waits until it is ACTIVE; gives its id. */
  async server(name: string, options: readonly string[] = []): Promise<string> {
    const id = await this.startServer(name, options);
    await until(
      `server ${name} ACTIVE`,
      400,
      () => this.statusOf(id),
      (status) => {
        if (status === 'ERROR') throw new Error('it is in ERROR');
        return status === 'ACTIVE';
      },
    );
    return id;
  }

  /** Asks for a server and does not wait; gives its id. */
  async startServer(name: string, options: readonly string[] = []): Promise<string> {
    const own = ['--network', this.name, '--security-group', this.name, '--key-name', this.name];
    const flavorAndImage = options.includes('--image') ? [] : ['--image', 'tiny', '--flavor', 'm1.tiny'];
    const server = await this.#os('server', 'create', ...own, ...flavorAndImage, ...options, name);
    this.#servers.push(server.id);
    return server.id;
  }

  /** The id of a server that was asked for, also when the answer was lost. */
  async find(name: string): Promise<string> {
    const servers: { ID: string }[] = await this.#os('server', 'list', '--name', `^${name}$`);
    if (servers.length !== 1) throw new Error(`${servers.length} servers ${name}`);
    const { ID: id } = servers[0]!;
    if (!this.#servers.includes(id)) this.#servers.push(id);
    return id;
  }

  async statusOf(serverId: string): Promise<string> {
    return (await this.#os('server', 'show', serverId)).status;
  }

  /** Waits until a host has the router with both its addresses and nothing left to do: the API does not wait for that. */
  async settled(host: string): Promise<void> {
    const { id } = await this.#os('router', 'show', this.name);
    await until(
      `router ${this.name} on ${host}`,
      180,
      () => this.#lab.onHost(host, 'ip', '-n', `qrouter-${id}`, '-br', '-4', 'addr'),
      (text) => text.includes('10.20.0.1/') && text.includes('203.0.113.'),
    );
    await until(
      `nothing left to do on ${host}`,
      120,
      async () => JSON.parse(await this.#lab.maru(['plan', host, '--json'], [0, 1])) as { steps: unknown[] },
      ({ steps }) => steps.length === 0,
    );
  }

  /** Deletes all servers that were made here. */
  async deleteServers(): Promise<void> {
    for (const id of this.#servers.splice(0)) await this.deleteServer(id);
  }

  /** Deletes a server, if it is still there, and waits until it has gone. */
  async deleteServer(serverId: string): Promise<void> {
    const ids = async () => ((await this.#os('server', 'list')) as { ID: string }[]).map(({ ID }) => ID);
    if (!(await ids()).includes(serverId)) return;
    await this.#lab.openstackText('demo', 'server', 'delete', serverId);
    await until(`end of server ${serverId}`, 240, ids, (left) => !left.includes(serverId));
  }

  /** A floating IP on a server; gives its address. `kept: false`: the test deletes it itself. */
  async floatingIp(serverId: string, { kept = true } = {}): Promise<string> {
    const created = await this.#os('floating', 'ip', 'create', 'public');
    const address: string = created.floating_ip_address;
    if (kept) this.#undo.push(() => this.#lab.openstackText('demo', 'floating', 'ip', 'delete', address));
    await this.#lab.openstackText('demo', 'server', 'add', 'floating', 'ip', serverId, address);
    return address;
  }

  async consoleLog(serverId: string): Promise<string> {
    return await this.#lab.openstackText('demo', 'console', 'log', 'show', serverId);
  }

  /** Takes everything away in reverse; goes on after a failure and throws the first at the end. */
  async remove(): Promise<void> {
    let first: unknown;
    const scaffolding = this.#undo.shift();
    const steps = [
      ...this.#undo.reverse(),
      () => this.deleteServers(),
      ...(scaffolding ? [scaffolding] : []),
    ];
    for (const undo of steps) {
      try {
        await undo();
      } catch (error) {
        first ??= error;
      }
    }
    rmSync(this.#directory, { recursive: true, force: true });
    if (first) throw first;
  }

  async #build(): Promise<void> {
    const { name } = this;
    const rule = ['security', 'group', 'rule', 'create', '--protocol'];
    this.#undo.push(() =>
      this.#lab.openstackBatch('demo', [
        ['router', 'remove', 'subnet', name, name],
        ['router', 'delete', name],
        ['network', 'delete', name],
        ['security', 'group', 'delete', name],
        ['keypair', 'delete', name],
      ]),
    );
    await this.#lab.openstackBatch('demo', [
      ['network', 'create', name],
      ['subnet', 'create', '--network', name, '--subnet-range', '10.20.0.0/24', name],
      ['router', 'create', '--external-gateway', 'public', name],
      ['router', 'add', 'subnet', name, name],
      ['security', 'group', 'create', name],
      [...rule, 'icmp', name],
      [...rule, 'tcp', '--dst-port', '22', name],
      ['keypair', 'create', '--private-key', this.keyFile, name],
    ]);
    chmodSync(this.keyFile, 0o600);
  }

  // biome-ignore lint/suspicious/noExplicitAny: what the openstack command prints has many shapes
  #os(...args: string[]): Promise<any> {
    return this.#lab.openstack('demo', ...args);
  }
}
