import type { Host } from '../host/host.js';
import { consoleLog } from '../storage/paths.js';

/** Largest console output that is returned, as Nova's. */
const MAX_BYTES = 100 * 1024;

/** The end of what a guest wrote to its serial console: the last `lines`, or up to 100 KiB. */
export async function readConsole(
  host: Host,
  stateDir: string,
  serverId: string,
  lines: number | null,
): Promise<string> {
  const file = consoleLog(stateDir, serverId);
  let text = await host.readTail(file, MAX_BYTES);
  // virtlogd begins a new file at 2 MiB; the one before has what came earlier
  const bytes = Buffer.byteLength(text);
  if (bytes < MAX_BYTES) text = (await host.readTail(`${file}.0`, MAX_BYTES - bytes)) + text;
  if (lines === null || lines < 0) return text;
  const ended = text.endsWith('\n');
  const all = (ended ? text.slice(0, -1) : text).split('\n');
  return lines === 0 ? '' : all.slice(-lines).join('\n') + (ended ? '\n' : '');
}
