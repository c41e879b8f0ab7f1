import type { Logger } from './protocol/log.js';

/** Work that is done now and then: it takes no input, does the same each time, and may fail without harm. */
export interface PeriodicJob {
  readonly name: string;
  /** Pause between the end of one run and the start of the next. */
  readonly seconds: number;
  readonly run: () => Promise<unknown>;
}

/** Runs each job again and again, never twice at once; failures are logged and the job goes on. */
export function startPeriodic(log: Logger, jobs: readonly PeriodicJob[]): { stop(): void } {
  const timers = new Map<string, NodeJS.Timeout>();
  let stopped = false;
  const schedule = (job: PeriodicJob) => {
    if (stopped) return;
    timers.set(job.name, setTimeout(() => void once(job), job.seconds * 1000).unref());
  };
  const once = async (job: PeriodicJob) => {
    try {
      await job.run();
    } catch (error) {
      log.error('periodic job failed', { job: job.name, error });
    }
    schedule(job);
  };
  for (const job of jobs) schedule(job);
  return {
    stop: () => {
      stopped = true;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
