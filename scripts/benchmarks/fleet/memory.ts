import { readFile } from 'node:fs/promises';
import type { FleetBench } from './bench.js';
import { availableMemory } from './limits.js';

/** Share of the machine's memory that has to stay available. */
const LEAST_AVAILABLE = 0.1;

/** Why no more hosts or servers can be made for want of memory; null when there is enough. */
export async function outOfMemory({
  controller,
  fleet,
  mostMemoryMb,
}: Pick<FleetBench, 'controller' | 'fleet' | 'mostMemoryMb'>): Promise<string | null> {
  const agents = (await Promise.all(fleet.pids.map(residentMb))).reduce((sum, mb) => sum + mb, 0);
  const own = controller.pid === undefined ? 0 : await residentMb(controller.pid);
  const shares = `controller ${Math.round(own)} MB, agents ${Math.round(agents)} MB`;
  if (own + agents > mostMemoryMb) return `memory: ${shares}, more than the ${mostMemoryMb} MB of --memory`;
  const available = await availableMemory();
  if (available >= LEAST_AVAILABLE) return null;
  return `memory: ${Math.round(available * 100)} % of the machine's is available (${shares})`;
}

/** Resident memory of a process (proc(5)); 0 when it has ended. */
async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
}
