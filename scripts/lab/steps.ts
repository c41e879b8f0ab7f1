import type { Step } from './up.js';

/** Prints each step with the time it took; the reason of a failure is the caller's to print. */
export const printStep: Step = async (title, work) => {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  process.stdout.write(`==> ${title}\n`);
  try {
    const result = await work();
    process.stdout.write(`    done in ${seconds()}\n`);
    return result;
  } catch (error) {
    process.stdout.write(`    FAILED after ${seconds()}\n`);
    throw error;
  }
};

/** For callers that want no output. */
export const silentStep: Step = (_title, work) => work();
