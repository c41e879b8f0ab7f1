import { Command } from 'commander';
import { programVersion } from '../protocol/version.js';
import { addAdminCommands } from './admin.js';
import { addAgentCommand } from './agent.js';
import { addAuditCommands } from './audit.js';
import { addBridgeCommands } from './bridge.js';
import { addAuthorityCommands } from './ca.js';
import { addCleanupCommand } from './cleanup.js';
import { addCompletionCommand } from './completion.js';
import { addConfigCommands } from './config.js';
import { addControllerCommand } from './controller.js';
import { addDemoCommand } from './demo.js';
import { addDoctorCommand } from './doctor.js';
import { addDriftCommand } from './drift.js';
import { addHostCommands } from './host.js';
import { addIncarnationCommands } from './incarnation.js';
import { addInstallCommands } from './install.js';
import { addKeyCommands } from './keys.js';
import { addLabCommands } from './lab.js';
import { addLogsCommand } from './logs.js';
import { addManCommand } from './man.js';
import { addNetworkCommands } from './network.js';
import { addPlanCommand } from './plan.js';
import { addPolicyCommands } from './policy.js';
import { addRouterCommands } from './router.js';
import { addServerCommands } from './server.js';
import { addStatusCommand } from './status.js';
import { addTaskCommands } from './task.js';
import { addTrailCommand } from './trail.js';

/** The `maru` command with all its subcommands. */
export function createProgram(): Command {
  const program = new Command('maru')
    .description(
      'Runs and looks after a Maru cloud. Tenants use the openstack command; this is for its operators.',
    )
    .version(programVersion())
    // wrong usage ends in src/main.ts with its own exit code; subcommands inherit this
    .exitOverride()
    .showHelpAfterError('(maru --help shows the commands)')
    .addHelpText(
      'after',
      `
Commands that ask the controller take its address and the administrator's credentials from clouds.yaml
(OS_CLOUD, OS_CLIENT_CONFIG_FILE) or from OS_AUTH_URL, OS_USERNAME, OS_PASSWORD …, like the openstack command.

Examples:
  maru status                      what is wrong, first
  maru host list
  maru plan host1                  what the host's agent would change now
  maru server explain web1         where a server is, why there, and what holds it up
  maru task list                   what is under way, and what it waits for`,
    );
  addControllerCommand(program);
  addAgentCommand(program);
  addStatusCommand(program);
  addDoctorCommand(program);
  addHostCommands(program);
  addNetworkCommands(program);
  addRouterCommands(program);
  addServerCommands(program);
  addTaskCommands(program);
  addTrailCommand(program);
  addAuditCommands(program);
  addPlanCommand(program);
  addDriftCommand(program);
  addPolicyCommands(program);
  addCleanupCommand(program);
  addIncarnationCommands(program);
  addAuthorityCommands(program);
  addKeyCommands(program);
  addAdminCommands(program);
  addBridgeCommands(program);
  addConfigCommands(program);
  addLogsCommand(program);
  addDemoCommand(program);
  addInstallCommands(program);
  addLabCommands(program);
  addCompletionCommand(program);
  addManCommand(program);
  return program;
}
