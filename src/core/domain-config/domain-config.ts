import {
  type ConfigPart,
  type DomainConfigRow,
  type DomainConfigSecretRow,
  hasDomainConfig,
  listDomainConfig,
  putDomainConfig,
  removeDomainConfig,
} from '../../store/identity/domain-config.js';
import { projects } from '../../store/identity/projects.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { type MaruError, notFound } from '../errors.js';
import { missing } from '../identity/rows.js';
import {
  checkOption,
  DEFAULTS,
  type DomainConfig,
  invalid,
  isSecret,
  isShown,
  type OptionValue,
} from './options.js';

/** Sets the configuration of a domain anew; whether it had none before, and what may be shown of it. */
export async function createDomainConfig(app: App, domainId: string, config: DomainConfig) {
  checkConfig(config);
  const rows = await rowsOf(app, domainId, config);
  const created = await app.store.tx(async (tx) => {
    await mustBeDomain(tx, domainId);
    const before = await hasDomainConfig(tx, domainId);
    await removeDomainConfig(tx, domainId);
    await putDomainConfig(tx, rows.shown, rows.secret);
    return !before;
  });
  return { created, config: configOf(await listDomainConfig(app.store.read, domainId)) };
}

/**
 * Changes options of a domain; others stay. For a group or an option the body has that one and no others, and it must have been
 * set. Gives what may be shown of the whole.
 */
export async function updateDomainConfig(
  app: App,
  domainId: string,
  body: Readonly<Record<string, unknown>>,
  part: ConfigPart,
) {
  const { group, option } = part;
  await mustBeDomain(app.store.read, domainId);
  // an option comes without its group
  const config = (group !== undefined && option !== undefined ? { [group]: body } : body) as DomainConfig;
  checkConfig(config);
  checkOption(group, option);
  if (group !== undefined) {
    const what = option === undefined ? `group ${group}` : `option ${option} in group ${group}`;
    const only = Object.keys(option === undefined ? config : config[group]!);
    if (only.length !== 1 || only[0] !== (option ?? group)) {
      throw invalid(`Trying to update ${what}, so that, and only that, must be specified in the config`);
    }
  }
  const rows = await rowsOf(app, domainId, config);
  await app.store.tx(async (tx) => {
    await mustBeDomain(tx, domainId);
    if (group !== undefined && !(await hasDomainConfig(tx, domainId, part))) throw notSet(domainId, part);
    await putDomainConfig(tx, rows.shown, rows.secret);
  });
  return configOf(await listDomainConfig(app.store.read, domainId));
}

/** What a domain has set of a part, without secrets; 404 when that is nothing. An option comes without its group. */
export async function getDomainConfig(app: App, domainId: string, part: ConfigPart) {
  await mustBeDomain(app.store.read, domainId);
  checkOption(part.group, part.option);
  const rows = await listDomainConfig(app.store.read, domainId, part);
  if (rows.length === 0) throw notSet(domainId, part);
  const config = configOf(rows);
  return part.group !== undefined && part.option !== undefined ? config[part.group]! : config;
}

/** Removes what a domain has set; 404 for a group or an option that it has not. */
export async function deleteDomainConfig(app: App, domainId: string, part: ConfigPart): Promise<void> {
  await app.store.tx(async (tx) => {
    await mustBeDomain(tx, domainId);
    checkOption(part.group, part.option);
    if (part.group !== undefined && !(await hasDomainConfig(tx, domainId, part)))
      throw notSet(domainId, part);
    await removeDomainConfig(tx, domainId, part);
  });
}

/** What holds where a domain has set nothing. */
export function defaultConfig({ group, option }: ConfigPart) {
  checkOption(group, option);
  if (group === undefined) return DEFAULTS;
  if (option === undefined) return { [group]: DEFAULTS[group]! };
  if (!isShown(group, option)) {
    throw invalid(`Reading the default for option ${option} in group ${group} is not supported`);
  }
  return { [option]: DEFAULTS[group]![option]! };
}

/** The rules for passwords, which everybody may read who has to choose one; they are the same for all domains. */
export function passwordRules({ config }: App, domainId: string, option?: string) {
  if (domainId !== 'default') {
    throw invalid(
      'Reading security compliance information for any domain other than the default domain is not allowed or supported',
    );
  }
  const { password_regex, password_regex_description } = config;
  const rules: Readonly<Record<string, string | null>> = { password_regex, password_regex_description };
  if (option === undefined) return { security_compliance: rules };
  if (Object.hasOwn(rules, option)) return { [option]: rules[option]! };
  throw invalid(
    'Reading security compliance values other than password_regex and password_regex_description is not allowed',
  );
}

function checkConfig(config: Readonly<Record<string, unknown>>): void {
  if (Object.keys(config).length === 0) throw invalid('No options specified');
  for (const [group, options] of Object.entries(config)) {
    const isMap = typeof options === 'object' && options !== null && !Array.isArray(options);
    if (!isMap || Object.keys(options).length === 0) {
      throw invalid(`The value of group ${group} specified in the config should be a dictionary of options`);
    }
    for (const option of Object.keys(options)) checkOption(group, option);
  }
}

/** Sealed before the transaction, which waits for nothing else. */
async function rowsOf(app: App, domainId: string, config: DomainConfig) {
  const shown: DomainConfigRow[] = [];
  const secret: DomainConfigSecretRow[] = [];
  for (const [group, options] of Object.entries(config)) {
    for (const [option, value] of Object.entries(options)) {
      const row = { domain_id: domainId, group_name: group, option_name: option };
      if (!isSecret(group, option)) {
        shown.push({ ...row, value: JSON.stringify(value) });
        continue;
      }
      const id = `${domainId}/${group}/${option}`;
      secret.push({ ...row, id, secret: await app.identity.sealing.seal(JSON.stringify(value), id) });
    }
  }
  return { shown, secret };
}

function configOf(rows: readonly DomainConfigRow[]): DomainConfig {
  const config: Record<string, Record<string, OptionValue>> = {};
  for (const { group_name, option_name, value } of rows) {
    config[group_name] ??= {};
    config[group_name][option_name] = JSON.parse(value) as OptionValue;
  }
  return config;
}

async function mustBeDomain(db: Reader, id: string): Promise<void> {
  if (!(await projects.get(db, id))?.is_domain) throw missing('domain', id);
}

function notSet(domainId: string, { group, option }: ConfigPart): MaruError {
  const what =
    option !== undefined
      ? `option ${option} in group ${group}`
      : group !== undefined
        ? `group ${group}`
        : 'any options';
  return notFound(`Could not find ${what} in domain configuration for domain ${domainId}.`);
}
