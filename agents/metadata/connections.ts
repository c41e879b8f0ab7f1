import type { Socket } from 'node:net';

/** More than any guest needs at a time. */
const PER_ADDRESS = 16;
const LONGEST_MS = 60_000;

/** Admits the connections of one listener: a few per address, none for long, so that no guest takes the service from its neighbours. */
export function createAdmission(perAddress = PER_ADDRESS, longestMs = LONGEST_MS) {
  const open = new Map<string, Set<Socket>>();
  return {
    /** False: the connection was refused and is closed. */
    admit(socket: Socket): boolean {
      const address = socket.remoteAddress ?? '';
      const sockets = open.get(address) ?? new Set();
      if (sockets.size >= perAddress) {
        socket.destroy();
        return false;
      }
      sockets.add(socket);
      open.set(address, sockets);
      const timer = setTimeout(() => socket.destroy(), longestMs);
      timer.unref();
      socket.once('close', () => {
        clearTimeout(timer);
        sockets.delete(socket);
        if (sockets.size === 0) open.delete(address);
      });
      return true;
    },
    closeAll(): void {
      for (const sockets of open.values()) for (const socket of sockets) socket.destroy();
    },
  };
}
