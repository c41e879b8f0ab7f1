import { createServer } from 'node:net';

/** Throws when another program listens on the port of the loopback address; binding alone would not tell. */
export function checkPortFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(
              `127.0.0.1:${port} is in use by another program (see: ss -ltnp): choose another port with --api-port`,
            )
          : error,
      ),
    );
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}
