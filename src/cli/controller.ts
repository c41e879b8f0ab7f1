import type { Command } from 'commander';

/** `maru controller`: runs the controller in the foreground. */
export function addControllerCommand(program: Command): void {
  program
    .command('controller')
    .description('Run the controller: the APIs, the database, the scheduler, and what tells hosts what to do')
    .option('--config <file>', 'configuration file', '/etc/maru/maru.yaml')
    .addHelpText('after', '\nExamples:\n  maru controller --config /etc/maru/maru.yaml')
    .action(async ({ config }: { config: string }) => {
      const { runController } = await import('../controller.js');
      await runController(config);
    });
}
