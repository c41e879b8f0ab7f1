import cron, { type ScheduledTask } from 'node-cron';
import type { Logger } from './protocol/log.js';

/** Work that is done now and then: it takes no input, does the same each time, and may fail without harm. */
export interface PeriodicJob {
  readonly name: string;
  /** Pause in seconds between the end of one run and the start of the next, or a schedule in cron's notation, by local time. */
  readonly when: number | string;
  readonly run: () => Promise<unknown>;
}

/** Runs each job again and again, never twice at once; failures are logged and the job goes on. */
export function startPeriodic(log: Logger, jobs: readonly PeriodicJob[]): { stop(): void } {
  const timers = new Map<string, NodeJS.Timeout>();
  const scheduled: ScheduledTask[] = [];
  let stopped = false;
  const once = async (job: PeriodicJob) => {
    try {
      await job.run();
    } catch (error) {
      log.error('periodic job failed', { job: job.name, error });
    }
  };
  const after = (job: PeriodicJob, seconds: number) => {
    if (stopped) return;
    const run = () => void once(job).then(() => after(job, seconds));
    timers.set(job.name, setTimeout(run, seconds * 1000).unref());
  };
  for (const job of jobs) {
    const { name, when } = job;
    if (typeof when === 'number') after(job, when);
    else scheduled.push(cron.schedule(when, () => once(job), { name, noOverlap: true }));
  }
  return {
    stop: () => {
      stopped = true;
      for (const timer of timers.values()) clearTimeout(timer);
      for (const task of scheduled) void task.destroy();
    },
  };
}
