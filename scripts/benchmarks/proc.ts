import { readFile } from 'node:fs/promises';

/** Clock ticks per second in /proc (proc(5): _SC_CLK_TCK, 100 on Linux). */
const TICKS = 100;

/** Seconds of processor time that a process has used since its start. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}
