import autocannon from 'autocannon';

/** A load that ends by itself. */
export interface Load {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly connections: number;
  readonly seconds: number;
}

/** Requests per second over keep-alive connections; rejects when any reply is not a 2xx. Loopback only. */
export async function requestsPerSecond(load: Load): Promise<number> {
  if (new URL(load.url).hostname !== '127.0.0.1') throw new Error(`${load.url}: load goes to 127.0.0.1 only`);
  const result = await autocannon({
    url: load.url,
    method: load.method ?? 'GET',
    headers: { ...load.headers },
    ...(load.body ? { body: load.body } : {}),
    connections: load.connections,
    duration: load.seconds,
  });
  if (result.non2xx || result.errors || result.timeouts) {
    throw new Error(
      `${load.url}: ${result.non2xx} replies were no success, ${result.errors} errors, ${result.timeouts} timeouts`,
    );
  }
  return result['2xx'] / result.duration;
}
