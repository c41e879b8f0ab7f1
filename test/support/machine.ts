import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { RealHost } from '../../agents/host/real.js';

/** This machine, for tests that start programs on it. */
export const machine = new RealHost();

const LOWEST = 12_000;
let asked = 0;

/**
 * A TCP port of the loopback address that nobody uses just now, another one at each call. It is below those that the kernel gives to
 * connections and to whoever listens on port 0: so it stays free until the program that is to have it listens, and while that
 * is started again. Processes begin at different ones.
 */
export async function freePort(): Promise<number> {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const ports = Number.parseInt(range, 10) - LOWEST;
  if (!(ports > 1_000)) return await listened(0);
  for (let tries = 0; tries < ports; tries++) {
    try {
      return await listened(LOWEST + ((process.pid * 61 + asked++) % ports));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  throw new Error(`every port from ${LOWEST} to ${LOWEST + ports} is in use`);
}

/** Listens for a moment on the port, or on any (0); gives which. */
function listened(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(port, '127.0.0.1', () => {
      const { port: got } = probe.address() as { port: number };
      probe.close(() => resolve(got));
    });
  });
}
