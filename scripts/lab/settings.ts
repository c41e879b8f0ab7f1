import { machine } from './commands.js';
import { type LabNames, labFiles, MAX_HOSTS } from './names.js';

/** How a lab was started; kept in lab.json. */
export interface LabSettings {
  readonly hosts: number;
  readonly apiPort: number;
  /** The controller's database; empty: SQLite in the lab's directory. */
  readonly database: string;
}

export const DEFAULT_SETTINGS: LabSettings = { hosts: 1, apiPort: 5000, database: '' };

export async function readSettings(lab: LabNames): Promise<LabSettings | null> {
  const text = await machine.readFileIfExists(labFiles(lab).settings);
  return text === null ? null : (JSON.parse(text) as LabSettings);
}

/**
 * Settles what the lab is to be from what was asked now and what it was started with: hosts may be added; another port or
 * database needs a new lab. Throws when that is asked for.
 */
export async function settle(lab: LabNames, asked: Partial<LabSettings>): Promise<LabSettings> {
  const before = await readSettings(lab);
  const settings = await intended(lab, asked);
  if (before) {
    if (settings.hosts < before.hosts) throw different(lab, 'hosts', before.hosts, settings.hosts);
    if (settings.apiPort !== before.apiPort)
      throw different(lab, 'API port', before.apiPort, settings.apiPort);
    if (settings.database !== before.database)
      throw different(lab, 'database', before.database, settings.database);
  }
  await machine.makeDirectory(lab.directory, 0o755);
  await machine.writeFile(labFiles(lab).settings, `${JSON.stringify(settings, null, 1)}\n`, 0o600);
  return settings;
}

/** What was asked for, completed with what the lab was started with and with defaults. Throws when it makes no sense. */
export async function intended(lab: LabNames, asked: Partial<LabSettings>): Promise<LabSettings> {
  const settings = { ...DEFAULT_SETTINGS, ...(await readSettings(lab)), ...defined(asked) };
  checkSettings(settings);
  return settings;
}

function checkSettings({ hosts, apiPort }: Pick<LabSettings, 'hosts' | 'apiPort'>): void {
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > MAX_HOSTS)
    throw new Error(`--hosts: a number from 1 to ${MAX_HOSTS}`);
  if (!Number.isInteger(apiPort) || apiPort < 1 || apiPort > 65_535)
    throw new Error('--api-port: a number from 1 to 65535');
}

function different(lab: LabNames, what: string, before: unknown, now: unknown): Error {
  return new Error(
    `lab ${lab.name} runs with ${what} ${before || 'SQLite'}, not ${now}: end it first (maru lab down, or quickstart --down)`,
  );
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
