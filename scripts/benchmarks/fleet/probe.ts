import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { Store } from '../../../src/store/store.js';
import { answerQuestions } from './ask.js';
import { LoopLag } from './clock.js';
import { Profiler, StatementCounter, type StatementUse } from './profile.js';

/**
 * Loaded into the controller with --import: the controller itself is the one that operators run. Measures its event loop, its
 * transactions, and what the scheduler publishes of each placement.
 */

/** What the controller's process has noted since it was last asked. */
export interface ControllerFigures {
  readonly cpuSeconds: number;
  readonly residentMb: number;
  readonly heapMb: number;
  readonly loopLagMs: readonly number[];
  /** Write transactions, and those of them that placed something. */
  readonly transactions: number;
  /** From asking for a transaction until its body began: waiting for the database's write lock. */
  readonly waitMs: readonly number[];
  /** Finding a host and claiming its capacity, inside the transaction. */
  readonly placementMs: readonly number[];
  /** Whole transactions that placed one server, without the waiting. */
  readonly placingTransactionMs: readonly number[];
}

/** What the controller's process has done since it began. */
export interface ControllerTotals {
  readonly cpuSeconds: number;
  readonly transactions: number;
  /** By their text; only with SQLite. */
  readonly statements: ReadonlyMap<string, StatementUse>;
}

/** What may be asked of the controller's process. */
export type ProbeOrder = 'figures' | 'totals' | 'profile' | { readonly profiledTo: string };

const lag = new LoopLag();
const counter = new StatementCounter();
const profiler = new Profiler();
const current = new AsyncLocalStorage<{ placements: number }>();
let transactions = 0;
let allTransactions = 0;
let waitMs: number[] = [];
let placementMs: number[] = [];
let placingTransactionMs: number[] = [];

channel('maru:placement').subscribe((message) => {
  const { ms } = message as { ms: number };
  placementMs.push(ms);
  const transaction = current.getStore();
  if (transaction) transaction.placements++;
});

const original = Store.prototype.tx;
Store.prototype.tx = async function tx(this: Store, body) {
  const asked = performance.now();
  const transaction = { placements: 0 };
  let began = asked;
  const result = await current.run(transaction, () =>
    original.call(this, async (tx) => {
      began = performance.now();
      return await body(tx);
    }),
  );
  transactions++;
  allTransactions++;
  waitMs.push(began - asked);
  if (transaction.placements === 1) placingTransactionMs.push(performance.now() - began);
  return result;
} as typeof original;

answerQuestions<ProbeOrder>(async (order) => {
  if (order === 'figures') return figures();
  if (order === 'totals') return totals();
  if (order === 'profile') return await profiler.start();
  return await profiler.stop(order.profiledTo);
});

function figures(): ControllerFigures {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const taken: ControllerFigures = {
    cpuSeconds: (user + system) / 1e6,
    residentMb: rss / 2 ** 20,
    heapMb: heapUsed / 2 ** 20,
    loopLagMs: lag.take(),
    transactions,
    waitMs,
    placementMs,
    placingTransactionMs,
  };
  transactions = 0;
  waitMs = [];
  placementMs = [];
  placingTransactionMs = [];
  return taken;
}

function totals(): ControllerTotals {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, transactions: allTransactions, statements: counter.uses };
}

process.channel?.unref();
