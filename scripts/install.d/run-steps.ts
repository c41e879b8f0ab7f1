import { CommandError } from '../../agents/host/host.js';
import { type Action, describe, perform } from './actions.js';

/** One part of an installation: looks at the machine and says what is missing. Looking changes nothing. */
export interface Step {
  readonly name: string;
  look(): Promise<readonly Action[]>;
  /** What to do when it fails, besides running the same command again. */
  readonly advice?: string;
}

export interface Outcome {
  readonly changes: number;
  readonly warnings: readonly string[];
}

/** A step that could not be done; the message says which, why, and how to go on. */
export class StepFailed extends Error {}

/**
 * Takes the steps in their order, each looking at what those before have made; with `dryRun` it only says what each would do now.
 * Every step is found done when it is: so an interrupted run goes on where it was when it is started again.
 */
export async function runSteps(
  steps: readonly Step[],
  { dryRun, print }: { readonly dryRun: boolean; readonly print: (line: string) => void },
): Promise<Outcome> {
  const warnings: string[] = [];
  let changes = 0;
  for (const step of steps) {
    try {
      for (const action of await step.look()) {
        if (action.do === 'warn') {
          warnings.push(action.text);
          print(`${step.name}: ${await describe(action)}`);
          continue;
        }
        changes++;
        const text = await describe(action);
        print(`${step.name}: ${dryRun ? `would ${text}` : (text.split('\n')[0] ?? '')}`);
        if (!dryRun) await perform(action);
      }
    } catch (error) {
      throw new StepFailed(failure(step, error));
    }
  }
  return { changes, warnings };
}

function failure(step: Step, error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  const command = error instanceof CommandError ? 'this command failed: ' : '';
  const advice = step.advice ? `\n${step.advice}` : '';
  return `step '${step.name}': ${command}${said}${advice}\nThen run the same command again: it goes on from here.`;
}
