import type { Agent } from '../../../agents/agent.js';
import { createLogger } from '../../../src/protocol/log.js';
import type { SpecPush } from '../../../src/protocol/messages.js';
import { answerQuestions } from './ask.js';
import { LoopLag, monotonicMs } from './clock.js';
import { type AgentWitness, type LightHost, startLightAgent } from './light-agent.js';
import type { Started, Taken, WorkerFigures, WorkerOrder } from './worker-messages.js';

/** A process with many agents. Ends with the process that started it. */

const JOINS_AT_ONCE = 4;

const agents: Agent[] = [];
const lag = new LoopLag();
/** Watched keys → host → when it was taken last. Networks are left out: every new port changes them on many hosts. */
const takenAt = new Map<string, Map<string, number>>();
const hosts = new Map<string, { beat: number; firstBeat: number; push: number }>();
let heartbeatMs: number[] = [];
let heartbeatFailures = 0;
let pushes = 0;
let pushedKeys = 0;
let warnings = 0;
let lastWarning = '';

const witness: AgentWitness = {
  heartbeat(host, ms, failed) {
    if (failed) {
      heartbeatFailures++;
      return;
    }
    heartbeatMs.push(ms);
    const now = monotonicMs();
    const known = hostFigures(host);
    known.beat = now;
    if (known.firstBeat === 0) known.firstBeat = now;
  },
  taken(host, push: SpecPush) {
    const now = monotonicMs();
    pushes++;
    hostFigures(host).push = now;
    for (const key of [...Object.keys(push.changed), ...push.removed]) {
      pushedKeys++;
      if (!key.startsWith('server/') && !key.startsWith('group-members/')) continue;
      const holders = takenAt.get(key) ?? new Map<string, number>();
      takenAt.set(key, holders.set(host, now));
    }
  },
};

const log = createLogger('warn', {}, (line) => {
  warnings++;
  lastWarning = line.slice(0, 500);
});

answerQuestions<WorkerOrder>((order) => {
  switch (order.do) {
    case 'start':
      return start(order.hosts, order.controller);
    case 'holders':
      return holders(order.keys);
    case 'figures':
      return figures();
  }
});

async function start(all: readonly LightHost[], controller: string): Promise<Started> {
  const queue = [...all];
  const failed: string[] = [];
  const next = async () => {
    for (let host = queue.shift(); host; host = queue.shift()) {
      try {
        agents.push(await startLightAgent(host, controller, witness, log));
      } catch (error) {
        failed.push(`${host.name}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: JOINS_AT_ONCE }, next));
  return { started: agents.length, failed };
}

function holders(keys: readonly string[]): Taken[] {
  return keys.flatMap((key) => [...(takenAt.get(key) ?? [])].map(([host, at]) => ({ host, key, at })));
}

function figures(): WorkerFigures {
  const { user, system } = process.cpuUsage();
  const taken: WorkerFigures = {
    cpuSeconds: (user + system) / 1e6,
    residentMb: process.memoryUsage.rss() / 2 ** 20,
    loopLagMs: lag.take(),
    heartbeatMs,
    heartbeatFailures,
    pushes,
    pushedKeys,
    warnings,
    lastWarning,
    hosts: Object.fromEntries([...hosts].map(([host, value]) => [host, { ...value }])),
  };
  heartbeatMs = [];
  heartbeatFailures = pushes = pushedKeys = warnings = 0;
  for (const value of hosts.values()) value.firstBeat = 0;
  return taken;
}

function hostFigures(host: string): { beat: number; firstBeat: number; push: number } {
  let value = hosts.get(host);
  if (!value) {
    value = { beat: 0, firstBeat: 0, push: 0 };
    hosts.set(host, value);
  }
  return value;
}
