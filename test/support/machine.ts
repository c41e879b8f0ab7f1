import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RealHost } from '../../agents/host/real.js';

/** This machine, for tests that start programs on it. */
export const machine = new RealHost();

/** A TCP port of the loopback address that nobody uses just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
