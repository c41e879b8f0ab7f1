import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { ExamineOptions } from '../../agents/doctor/doctor.js';
import type { ControllerSettings, HostSettings } from '../../agents/doctor/facts.js';
import type { HostSummary } from '../api/admin/views.js';
import { ConfigDocument } from '../protocol/config/document.js';
import type { DoctorReport, Role } from '../protocol/doctor.js';
import { Client } from './client.js';
import { printReport } from './doctor-report.js';
import { CliError } from './error.js';
import { printJson } from './output.js';

interface DoctorOptions {
  readonly all?: boolean;
  readonly for?: Role;
  readonly config: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** `maru doctor`: what is wrong with this machine, or with hosts, each with the commands that mend it. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor [host]')
    .description(
      'Say what is wrong with this machine or a host, and what mends it. Exit code 1 when something is',
    )
    .option('--all', 'all hosts, through the controller')
    .addOption(
      new Option('--for <role>', 'before installation: would this machine do as one?').choices([
        'host',
        'controller',
      ]),
    )
    .option('--config <file>', 'configuration file', '/etc/maru/maru.yaml')
    .option('--verbose', 'also what is fine, and what could not be looked at')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
It only looks, also when nothing runs, and changes nothing. Run it as root on the machine itself.

Examples:
  sudo maru doctor
  sudo maru doctor --for host        before a machine becomes a host
  maru doctor host2                  a host elsewhere, through the controller
  maru doctor --all --json`,
    )
    .action(async (host: string | undefined, options: DoctorOptions) => {
      if (options.for && (host !== undefined || options.all))
        throw new CliError('--for is about this machine: leave the host out', 2);
      if (host !== undefined && options.all) throw new CliError('name a host, or give --all', 2);
      const remote = host !== undefined || options.all === true;
      const { reports, silent } = remote
        ? await fromHosts(host)
        : { reports: [await here(options)], silent: [] };
      const wrong = reports.some(({ findings }) => findings.some(({ severity }) => severity === 'wrong'));
      if (wrong || silent.length > 0) process.exitCode = 1;
      if (options.json) printJson(remote ? { reports, silent } : reports[0]);
      else {
        for (const report of reports) printReport(report, options.verbose === true);
        for (const { name, because } of silent) {
          process.stdout.write(
            `${name}: cannot be asked: ${because}\n  on ${name} itself: sudo maru doctor\n\n`,
          );
        }
      }
      // a command that hangs beyond killing must not keep this program
      if (!remote) await endOnceWritten();
    });
}

/** Reports of hosts through the controller; those that do not answer are named. */
async function fromHosts(
  name: string | undefined,
): Promise<{ reports: DoctorReport[]; silent: { name: string; because: string }[] }> {
  const client = new Client();
  const names =
    name !== undefined
      ? [name]
      : (await client.get<{ hosts: HostSummary[] }>('/maru/v1/hosts')).hosts.map((host) => host.name);
  if (names.length === 0) throw new CliError('no host has joined; maru doctor looks at this machine');
  const reports: DoctorReport[] = [];
  const silent: { name: string; because: string }[] = [];
  // a few at a time: each takes its host some seconds
  for (let i = 0; i < names.length; i += 8) {
    const batch = names.slice(i, i + 8).map(async (one) => {
      try {
        const path = `/maru/v1/hosts/${encodeURIComponent(one)}/doctor`;
        reports.push((await client.get<{ doctor: DoctorReport }>(path)).doctor);
      } catch (error) {
        if (name !== undefined || !(error instanceof CliError)) throw error;
        silent.push({ name: one, because: error.message });
      }
    });
    await Promise.all(batch);
  }
  return { reports: reports.sort((a, b) => a.host.localeCompare(b.host)), silent };
}

/** Looks at this machine. */
async function here(options: DoctorOptions): Promise<DoctorReport> {
  // a name held in a variable keeps the agent out of the controller's program: it is loaded only here
  const [entry, settingsEntry] = ['../../agents/doctor/doctor.js', '../../agents/doctor/settings.js'];
  const { examine } = (await import(entry)) as { examine(options: ExamineOptions): Promise<DoctorReport> };
  const { hostSettings } = (await import(settingsEntry)) as {
    hostSettings(file: string | null): HostSettings;
  };
  const file = options.config;
  const there = existsSync(file);
  if (!there && !options.for) {
    throw new CliError(
      `${file} does not exist: is Maru installed here? Before installation: maru doctor --for host, or --for controller`,
      2,
    );
  }
  let problem: string | null = null;
  const attempt = <T>(load: (from: string | null) => T): T => {
    try {
      return load(there && problem === null ? file : null);
    } catch (error) {
      problem = (error as Error).message;
      return load(null);
    }
  };
  const roles = options.for ? [options.for] : attempt((from) => rolesIn(from));
  const host = roles.includes('host') ? attempt(hostSettings) : null;
  const { loadConfig } = await import('../config.js');
  const { inspectDatabase, withoutPassword } = await import('../store/inspect.js');
  const config = roles.includes('controller') ? attempt((from) => loadConfig(from ?? '/dev/null')) : null;
  const controller: ControllerSettings | null = config && {
    state_dir: config.state_dir,
    database: withoutPassword(config.database),
    listen: config.listen,
    agent_listen: config.agent_listen,
    image_dir: config.image_dir,
    underlay_mtu: config.underlay_mtu,
    log_file: config.log_file,
    admin_password_file: config.admin_password_file,
    tls_cert_file: config.tls_cert_file,
  };
  return await examine({
    settings: { file, problem, host, controller },
    roles,
    phase: options.for ? 'before' : 'installed',
    ...(config ? { database: () => inspectDatabase(config.database) } : {}),
  });
}

/** The roles that a file has sections for; both when it has none. */
function rolesIn(file: string | null): Role[] {
  if (file === null) return ['controller', 'host'];
  // what is wrong with the file is told by those who read its sections
  const document = ConfigDocument.read(file);
  const roles: Role[] = [];
  if (document.has('controller')) roles.push('controller');
  if (document.has('agent')) roles.push('host');
  return roles.length > 0 ? roles : ['controller', 'host'];
}

function endOnceWritten(): Promise<never> {
  return new Promise(() => {
    process.stdout.write('', () => process.exit());
  });
}
