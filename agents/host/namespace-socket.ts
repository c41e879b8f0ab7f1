import type { Server } from 'node:net';
import { execa } from 'execa';

/**
 * Opens a listening socket inside a network namespace. A short-lived Node process in the namespace listens and hands the
 * descriptor over by IPC: sockets keep the namespace they were made in, so no process has to stay there.
 */
export async function listenInNamespace(netns: string, address: string, port: number): Promise<Server> {
  const child = execa(
    'ip',
    ['netns', 'exec', netns, process.execPath, '-e', LISTENER, address, String(port)],
    {
      ipc: true,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'json',
      reject: false,
      timeout: 10_000,
    },
  );
  const ended = child.then((result) => {
    throw new Error(
      `no socket on ${address}:${port} in namespace ${netns}: ${result.stderr || result.originalMessage}`,
    );
  });
  const server = await Promise.race([
    new Promise<Server>((resolve) => {
      child.on('message', (_message: unknown, handle: unknown) => {
        if (handle) resolve(handle as Server);
      });
    }),
    ended,
  ]);
  ended.catch(() => {});
  child.kill();
  return server;
}

/** Listens, hands the socket to the parent, ends. As text, because it must run from sources and from a build alike. */
const LISTENER = `
const [, address, port] = process.argv;
const server = require('node:net').createServer();
server.on('error', (error) => {
  process.stderr.write(error.message);
  process.exit(1);
});
server.listen({ host: address, port: Number(port), backlog: 511 }, () => {
  process.send('listening', server, {}, () => process.disconnect());
});
`;
