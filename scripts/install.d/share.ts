import { completionScript } from '../../src/cli/completion.js';
import { manualPage } from '../../src/cli/man.js';
import { createProgram } from '../../src/cli/program.js';
import { type Action, ensureFile, ensureGone } from './actions.js';
import { PROGRAM, SOURCE } from './layout.js';
import type { Step } from './run-steps.js';

const MANUAL = '/usr/share/man/man1/maru.1';
const COMPLETION = '/usr/share/bash-completion/completions/maru';

/** The manual page and bash's completion, both made from the commands; a package brings its own. */
export function shareStep(): Step {
  return {
    name: 'manual',
    advice: 'The cloud works without it; `maru man` prints the same.',
    async look() {
      if (SOURCE === PROGRAM) return [];
      const program = createProgram();
      return [
        ...(await ensureFile({ path: MANUAL, content: manualPage(program, {}), mode: 0o644 })),
        ...(await ensureFile({ path: COMPLETION, content: completionScript(program, 'bash'), mode: 0o644 })),
      ];
    },
  };
}

export async function withoutShare(): Promise<Action[]> {
  return [...(await ensureGone(MANUAL)), ...(await ensureGone(COMPLETION))];
}
