import pg from 'pg';

const CHANNEL = 'maru';
const RECONNECT_MS = 1_000;
const PING_MS = 15_000;
const TIMEOUT_MS = 5_000;
/** Signals that come this close together are sent as one. */
const COALESCE_MS = 2;

/**
 * Signals between the controllers of one PostgreSQL, over a connection of their own that is made again when it breaks. A signal may
 * get lost, so whoever waits for one also looks by itself from time to time; after a new connection every signal counts as given.
 */
export class Notifications {
  readonly #url: string;
  readonly #onSignal: (signal: string) => void;
  readonly #signals: readonly string[];
  readonly #pending = new Set<string>();
  /** How others' signals are told from our own. */
  readonly #sender = Math.random().toString(36).slice(2);
  #client: pg.Client | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ping: NodeJS.Timeout | null = null;
  #flush: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(url: string, signals: readonly string[], onSignal: (signal: string) => void) {
    this.#url = url;
    this.#signals = signals;
    this.#onSignal = onSignal;
  }

  start(): void {
    this.#ping = setInterval(() => void this.#query('select 1'), PING_MS);
    this.#ping.unref();
    void this.#connect();
  }

  /** Tells the other controllers; call it after the transaction that it is about. */
  send(signal: string): void {
    if (this.#closed) return;
    this.#pending.add(signal);
    this.#flush ??= setTimeout(() => {
      this.#flush = null;
      void this.flush();
    }, COALESCE_MS);
  }

  /** Sends what has not been sent yet. */
  async flush(): Promise<void> {
    const signals = [...this.#pending];
    this.#pending.clear();
    for (const signal of signals) {
      await this.#query('select pg_notify($1, $2)', [CHANNEL, `${this.#sender} ${signal}`]);
    }
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    for (const timer of [this.#timer, this.#ping, this.#flush]) if (timer) clearTimeout(timer);
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: 'maru signals',
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      keepAlive: true,
    });
    const again = () => this.#reconnect(client);
    client.on('error', again);
    client.on('end', again);
    client.on('notification', ({ payload }) => {
      const [sender, signal] = (payload ?? '').split(' ');
      if (sender !== this.#sender && signal) this.#onSignal(signal);
    });
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
    } catch {
      return again();
    }
    if (this.#closed) return void client.end().catch(() => {});
    this.#client = client;
    for (const signal of this.#signals) this.#onSignal(signal);
  }

  #reconnect(client: pg.Client): void {
    client.removeAllListeners('end');
    // a connection that hangs would otherwise wait for an answer to its farewell
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    if (this.#client === client) this.#client = null;
    if (this.#closed || this.#timer || this.#client) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#connect();
    }, RECONNECT_MS);
    this.#timer.unref();
  }

  async #query(text: string, values: string[] = []): Promise<void> {
    const client = this.#client;
    if (!client) return;
    try {
      await client.query(text, values);
    } catch {
      this.#reconnect(client);
    }
  }
}
