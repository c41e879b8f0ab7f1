import type { LightHost } from './light-agent.js';

/** What the bench asks of a process of agents. */
export type WorkerOrder =
  | { readonly do: 'start'; readonly hosts: readonly LightHost[]; readonly controller: string }
  | { readonly do: 'holders'; readonly keys: readonly string[] }
  | { readonly do: 'figures' };

/** When a host took a key last, by the machine's monotonic clock in milliseconds. */
export interface Taken {
  readonly host: string;
  readonly key: string;
  readonly at: number;
}

/** What a process of agents has noted since it was last asked. */
export interface WorkerFigures {
  readonly cpuSeconds: number;
  readonly residentMb: number;
  /** Milliseconds by which its timers are late: what it measures elsewhere is no better than this. */
  readonly loopLagMs: readonly number[];
  readonly heartbeatMs: readonly number[];
  readonly heartbeatFailures: number;
  readonly pushes: number;
  readonly pushedKeys: number;
  readonly warnings: number;
  readonly lastWarning: string;
  /** Last answered heartbeat, first answered one since the last asking, and last push taken, by host. */
  readonly hosts: Readonly<
    Record<string, { readonly beat: number; readonly firstBeat: number; readonly push: number }>
  >;
}

export interface Started {
  readonly started: number;
  readonly failed: readonly string[];
}

export interface Ask<T> {
  readonly id: number;
  readonly order: T;
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };
