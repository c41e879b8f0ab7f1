import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net';

/** Passes TCP connections on, and can be made to behave as a broken network does. */
export class TcpProxy {
  readonly #server: Server;
  readonly #targets: readonly NetConnectOpts[];
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #leftOut = new Set<number>();
  #next = 0;
  #dropping = false;

  /** Each new connection goes to the next target that takes it. */
  private constructor(targets: readonly NetConnectOpts[]) {
    this.#targets = targets;
    this.#server = createServer((client) => void this.#accept(client));
  }

  static async listen(targets: readonly NetConnectOpts[], port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(targets);
    proxy.#server.listen(port, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Leaves a target out, as a balancer does whose health checks fail, or takes it in again. */
  leaveOut(port: number, out: boolean): void {
    if (out) this.#leftOut.add(port);
    else this.#leftOut.delete(port);
  }

  /** From now on nothing gets through, and nobody is told. */
  drop(): void {
    this.#dropping = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** What was held up comes through, as TCP sends again what was lost. */
  heal(): void {
    this.#dropping = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await once(this.#server, 'close');
  }

  async #accept(client: Socket): Promise<void> {
    client.on('error', () => client.destroy());
    for (let tries = 0; tries < this.#targets.length; tries++) {
      const target = this.#targets[this.#next++ % this.#targets.length]!;
      if ('port' in target && this.#leftOut.has(target.port)) continue;
      const upstream = await open(target);
      if (upstream) return this.#join(client, upstream);
    }
    client.destroy();
  }

  #join(client: Socket, upstream: Socket): void {
    const pair = [client, upstream] as const;
    this.#pairs.add(pair);
    const pipe = (from: Socket, to: Socket) => {
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#pairs.delete(pair);
        // a broken network does not tell that the other side is gone
        if (!this.#dropping) to.destroy();
      });
      if (this.#dropping) from.pause();
    };
    pipe(client, upstream);
    pipe(upstream, client);
  }
}

async function open(target: NetConnectOpts): Promise<Socket | null> {
  const socket = connect(target);
  return await new Promise((resolve) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}
