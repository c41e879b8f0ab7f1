import type { TaskKind } from './kind.js';
import { hasUndo } from './kind.js';

/** Moments at which a process can end: nothing done; effect done but not recorded (or not committed); recorded. */
export const MOMENTS = ['before', 'between', 'after'] as const;
export type Moment = (typeof MOMENTS)[number];

/** `kind/step:moment`, or `kind/step:undo:moment`. */
export type KillPoint = string;

/** Thrown by a test's hook: the runner must do nothing more, as if its process had ended. */
export class Killed extends Error {
  constructor(point: KillPoint) {
    super(`killed at ${point}`);
    this.name = 'Killed';
  }
}

type Hook = (point: KillPoint) => void;

let hook: Hook | null = hookFromEnvironment(process.env.MARU_KILL_AT);

/** Marks a point that was reached. Ends the process there when the environment (MARU_KILL_AT=point or point#n) says so. */
export function reach(point: KillPoint): void {
  hook?.(point);
}

/** For tests: called at each point; it may throw Killed. Gives what takes it away again. */
export function onKillPoints(listener: Hook): () => void {
  const before = hook;
  hook = listener;
  return () => {
    hook = before;
  };
}

export function pointOf(kind: string, step: string, undoing: boolean, moment: Moment): KillPoint {
  return `${kind}/${step}${undoing ? ':undo' : ''}:${moment}`;
}

/** Every point of a kind, in order. */
export function pointsOf(kind: TaskKind): KillPoint[] {
  return Object.entries(kind.steps).flatMap(([name, step]) => [
    ...MOMENTS.map((moment) => pointOf(kind.name, name, false, moment)),
    ...(hasUndo(step) ? MOMENTS.map((moment) => pointOf(kind.name, name, true, moment)) : []),
  ]);
}

function hookFromEnvironment(value: string | undefined): Hook | null {
  if (!value) return null;
  const [wanted, nth = '1'] = value.split('#');
  let left = Number(nth);
  return (point) => {
    if (point !== wanted || --left > 0) return;
    process.kill(process.pid, 'SIGKILL');
    // the signal may take effect a moment later: nothing more may happen until then
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  };
}
