import { RealHost } from '../../agents/host/real.js';

/** The machine that the lab is on: every command of the lab goes through it. */
export const machine = new RealHost();

/** Runs a command and gives its output; throws with command, exit code and stderr. */
export async function sh(command: string, ...args: string[]): Promise<string> {
  return (await machine.run(command, args)).stdout;
}

/** Runs a command that may fail, for what may not be there. */
export async function attempt(command: string, ...args: string[]): Promise<boolean> {
  try {
    await machine.run(command, args);
    return true;
  } catch {
    return false;
  }
}

/** Waits until `condition` gives something; throws with what it said last when the deadline passes. */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | null | undefined | false>,
  intervalMs = 100,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const found = await condition();
      if (found) return found;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      last = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() >= deadline)
      throw new Error(`${what}: not within ${timeoutMs / 1000} s${last ? `; last: ${last}` : ''}`);
    await pause(intervalMs);
  }
}

/** Thrown in a waitFor condition when waiting any longer is pointless. */
export class GiveUp extends Error {}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
