import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { Store } from '../../../src/store/store.js';
import { answerQuestions } from './ask.js';
import { LoopLag } from './clock.js';

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

const lag = new LoopLag();
const current = new AsyncLocalStorage<{ placements: number }>();
let transactions = 0;
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
  waitMs.push(began - asked);
  if (transaction.placements === 1) placingTransactionMs.push(performance.now() - began);
  return result;
} as typeof original;

answerQuestions((): ControllerFigures => {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const figures = {
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
  return figures;
});
process.channel?.unref();
