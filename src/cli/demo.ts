import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { DemoResult } from '../../scripts/lab/cloud-demo.js';
import type { Settings } from './auth-request.js';
import { findCredentials } from './credentials.js';
import { CliError } from './error.js';
import { printJson } from './output.js';

interface DemoOptions {
  readonly physicalNetwork: string;
  readonly cidr?: string;
  readonly gateway?: string;
  readonly pool?: string;
  readonly image?: string;
  readonly sshUser?: string;
  readonly files: string;
  readonly server: boolean;
  readonly json?: boolean;
}

/** `maru demo`: a first server behind a floating IP, made through the public APIs. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('Make a first server behind a floating IP through the public APIs, as the administrator')
    .option('--physical-network <alias>', 'alias of the hosts’ bridge to the outside', 'extnet')
    .option('--cidr <cidr>', 'what is outside; needed unless there is an external network "public"')
    .option('--gateway <address>', 'its gateway, if it has one')
    .option('--pool <first-last>', 'addresses of it that are nobody else’s: for routers and floating IPs')
    .option('--image <file>', 'qcow2 image; needed unless there is an image "demo"')
    .option('--ssh-user <name>', 'who logs in to its guests: ping and ssh are tried from here')
    .option('--files <directory>', 'where key and clouds.yaml are kept', join(homedir(), 'maru-demo'))
    .option('--no-server', 'networks and image only')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  maru demo --cidr 203.0.113.0/24 --gateway 203.0.113.1 --pool 203.0.113.100-203.0.113.199 --image debian.qcow2 --ssh-user debian\n  maru demo --no-server',
    )
    .action(async (options: DemoOptions) => {
      const outside = outsideOf(options);
      const { authUrl, ca, settings } = findCredentials();
      const admin = passwordOf(settings);
      // only this command needs what labs are made with
      const { cloudDemo } = await import('../../scripts/lab/cloud-demo.js');
      const { Cloud } = await import('../../scripts/lab/cloud.js');
      const { printStep, silentStep } = await import('../../scripts/lab/steps.js');
      const endpoint = authUrl.replace(/\/identity(\/v3)?\/?$/, '');
      const request = {
        admin: new Cloud(endpoint, admin, ca),
        outside,
        image: options.image ? resolve(options.image) : null,
        sshUser: options.sshUser ?? null,
        directory: resolve(options.files),
        server: options.server,
      };
      const result = await cloudDemo(request, options.json ? silentStep : printStep).catch((error: Error) => {
        throw new CliError(error.message);
      });
      if (options.json) return printJson(result);
      process.stdout.write(whatToType(result));
    });
}

/** Whose password is kept for later in the demo's clouds.yaml. */
function passwordOf({ username, password, project_name }: Settings) {
  if (username === undefined || password === undefined || project_name === undefined) {
    throw new CliError('maru demo needs credentials with username, password and project_name', 2);
  }
  return { username, password, project: project_name };
}

function outsideOf({ cidr, gateway, pool, physicalNetwork }: DemoOptions) {
  if (cidr === undefined) {
    if (gateway || pool) throw new CliError('--gateway and --pool need --cidr', 2);
    return null;
  }
  const [poolStart, poolEnd, more] = (pool ?? '').split('-');
  if (!poolStart || !poolEnd || more !== undefined) {
    throw new CliError('--cidr needs --pool FIRST-LAST: addresses in it that nobody else uses', 2);
  }
  return { physicalNetwork, cidr, gateway: gateway ?? null, poolStart, poolEnd };
}

function whatToType({ files, floating_ip, ssh }: DemoResult): string {
  const lines = [
    '',
    'Use it:',
    '',
    `  export OS_CLIENT_CONFIG_FILE=${files.clouds} OS_CLOUD=demo`,
    '  openstack server list',
    '  openstack server create --image demo --flavor m1.tiny --network private --security-group ping-and-ssh another',
  ];
  if (floating_ip) lines.push(`  ping -c 3 ${floating_ip}`);
  if (ssh) lines.push(`  ${ssh}`);
  return `${[...lines, '  OS_CLOUD=maru maru status'].join('\n')}\n`;
}
