import type { Command } from 'commander';
import { ConfigInvalid } from '../protocol/config/problem.js';
import { CliError } from './error.js';
import { explainFailure } from './start-failure.js';

interface RecoverFlags {
  readonly config: string;
  readonly user: string;
  readonly passwordFile?: string;
  readonly dropPolicyOverrides?: boolean;
}

/** `maru admin recover`: lets the administrator in again, from the controller's host. */
export function addAdminCommands(program: Command): void {
  const admin = program.command('admin').description('Get a cloud back whose administrator cannot get in');
  admin
    .command('recover')
    .description('Let the administrator in again: as root on a controller’s host, without any password')
    .option('--config <file>', 'configuration file of the controller', '/etc/maru/maru.yaml')
    .option('--user <name>', 'a user of the default domain, who is made when missing', 'admin')
    .option(
      '--password-file <file>',
      'holds the password to set; without it a new one is written to controller.admin_password_file',
    )
    .option(
      '--drop-policy-overrides',
      'remove every policy rule that is stored in the database; their text stays in the audit records',
    )
    .addHelpText(
      'after',
      `
The user, its domain and project admin are enabled, failures, lock and multi-factor rules are forgotten, the password is set, role admin
is given on project admin and on the system, built-in roles and what they imply are restored, its tokens end. It leaves an audit record.

On SQLite the controller has to be stopped meanwhile; on PostgreSQL controllers go on running. Rules of controller.policy_file are not
touched: mend the file.

Examples:
  maru admin recover
  maru admin recover --user anna --password-file /root/password
  maru admin recover --drop-policy-overrides`,
    )
    .action(async (flags: RecoverFlags) => {
      const { user, passwordFile } = flags;
      const { recoverFromHost } = await import('../recover.js');
      const recovered = await recoverFromHost({
        configFile: flags.config,
        user,
        passwordFile: passwordFile ?? null,
        dropPolicyOverrides: flags.dropPolicyOverrides === true,
      }).catch((error: unknown) => {
        const text = explainFailure('the administrator cannot be recovered', error, 'controller');
        throw new CliError(text, error instanceof ConfigInvalid ? 2 : 1);
      });
      for (const line of recovered.done) process.stdout.write(`${line}\n`);
      process.stdout.write(
        `User ${user} of domain Default is an administrator again; the password is in ${recovered.passwordFile}.\n` +
          'Whoever used the old one, such as clouds.yaml, needs the new one.\n',
      );
    });
}
