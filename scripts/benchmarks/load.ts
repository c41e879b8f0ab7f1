import { Agent, request } from 'node:http';
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

/** Keeps its connections: what opens them is not what is measured. */
const agent = new Agent({ keepAlive: true });

/**
 * One POST of JSON; rejects unless the reply, which is read whole, has that status. Takes less processor time than `fetch`,
 * and the client has the same processors as what it measures. Loopback only.
 */
export async function post(url: string, body: string, status: number): Promise<void> {
  if (new URL(url).hostname !== '127.0.0.1') throw new Error(`${url}: load goes to 127.0.0.1 only`);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  await new Promise<void>((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (part: string) => {
        text += part;
      });
      reply.on('error', reject);
      reply.on('end', () => {
        if (reply.statusCode === status) resolve();
        else reject(new Error(`POST ${url}: ${reply.statusCode} ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
