import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Asker } from './ask.js';
import type { LightHost } from './light-agent.js';
import type { Started, Taken, WorkerFigures, WorkerOrder } from './worker-messages.js';

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));

/** The processes in which the agents run; hosts are dealt out evenly. */
export class Fleet {
  readonly #children: ChildProcess[] = [];
  readonly #askers: Asker<WorkerOrder>[] = [];
  #hosts = 0;

  constructor(processes: number) {
    for (let i = 0; i < processes; i++) {
      const child = fork(WORKER, [], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        serialization: 'advanced',
        execArgv: ['--max-old-space-size=6144'],
      });
      this.#children.push(child);
      this.#askers.push(new Asker<WorkerOrder>(child, `agents ${i + 1}`));
    }
  }

  /** Hosts whose agents run. */
  get size(): number {
    return this.#hosts;
  }

  /** Of the processes that the agents run in. */
  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => pid ?? []);
  }

  /** Joins and starts more hosts; resolves with what could not. */
  async start(hosts: readonly LightHost[], controller: string): Promise<readonly string[]> {
    const shares = this.#askers.map((_, i) => hosts.filter((_host, at) => at % this.#askers.length === i));
    const replies = await Promise.all(
      this.#askers.map((asker, i) => asker.ask<Started>({ do: 'start', hosts: shares[i]!, controller })),
    );
    this.#hosts = replies.reduce((sum, reply) => sum + reply.started, 0);
    return replies.flatMap((reply) => reply.failed);
  }

  /** Which hosts have taken these keys, and when each did so last. */
  async holders(keys: readonly string[]): Promise<readonly Taken[]> {
    const order: WorkerOrder = { do: 'holders', keys };
    return (await Promise.all(this.#askers.map((asker) => asker.ask<Taken[]>(order)))).flat();
  }

  /** What each process has noted since it was last asked. */
  async figures(): Promise<readonly WorkerFigures[]> {
    return await Promise.all(this.#askers.map((asker) => asker.ask<WorkerFigures>({ do: 'figures' })));
  }

  /** Ends all agents at once. */
  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}
