#!/usr/bin/env node
import { CommanderError } from 'commander';
import { CliError } from './cli/error.js';
import { createProgram } from './cli/program.js';

// `maru … | head`: whoever reads has seen enough
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

/** Entry point of `maru`. Exit codes: 0 done, 1 failed or unhealthy, 2 wrong usage. */
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof CliError) {
    process.stderr.write(`maru: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`maru: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    process.exitCode = 1;
  }
}
