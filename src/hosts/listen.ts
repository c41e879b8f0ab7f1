import type { Server as NetServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { splitAddress } from '../net/listen-address.js';

/**
 * Makes the API listen: on a socket inherited from whoever started the process, so that it can listen where the process itself
 * could not (another network namespace, a privileged port), or else on `config.listen`. Resolves with what it listens on.
 *
 * - `MARU_LISTEN=ipc`: we send `{type: 'listen'}` to the parent over Node's IPC; it answers with a socket: a listening
 *   server or a bare handle.
 * - `LISTEN_FDS`, `LISTEN_PID`: systemd's socket activation, the first descriptor.
 */
export async function listenApi(
  fastify: FastifyInstance,
  config: { readonly listen: string },
): Promise<string> {
  await fastify.ready();
  const { env } = process;
  if (env.MARU_LISTEN === 'ipc' && process.send) {
    const handle = await handleFromParent();
    await listenOn(fastify, handle);
    return 'a socket of the parent process';
  }
  if (Number(env.LISTEN_FDS) >= 1 && Number(env.LISTEN_PID) === process.pid) {
    await listenOn(fastify, { fd: 3 });
    return 'a socket of systemd';
  }
  const { host, port } = splitAddress(config.listen);
  return await fastify.listen({ host, port });
}

const HANDLE_TIMEOUT_MS = 10_000;

/**
 * Asks the parent for its socket; the answer may also come unasked. Parents best send the bare handle: of a net.Server, Node makes one
 * here that accepts, and drops, clients who waited in the queue before our server takes over.
 */
function handleFromParent(): Promise<NetServer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      process.off('message', take);
      reject(
        new Error(`MARU_LISTEN=ipc: the parent process sent no socket within ${HANDLE_TIMEOUT_MS / 1000} s`),
      );
    }, HANDLE_TIMEOUT_MS);
    const take = (_message: unknown, handle: unknown) => {
      if (!handle) return;
      clearTimeout(timer);
      process.off('message', take);
      resolve(handle as NetServer);
    };
    process.on('message', take);
    process.send?.({ type: 'listen' });
  });
}

/** Fastify's own `listen` opens its sockets itself: hand its HTTP server the one there is. */
function listenOn(fastify: FastifyInstance, handle: NetServer | { readonly fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    fastify.server.once('error', reject);
    fastify.server.listen(handle, () => {
      fastify.server.off('error', reject);
      resolve();
    });
  });
}
