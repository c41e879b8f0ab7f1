import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseSecretYaml } from '../protocol/secret-text.js';
import { type AuthRequest, authRequest, type Settings, typedSecrets, UNDERSTOOD } from './auth-request.js';
import { CliError } from './error.js';
import { readTextFile } from './text-file.js';

/** What is needed to get a token. */
export interface Credentials extends AuthRequest {
  readonly authUrl: string;
  /** What was given, under keystoneauth's names. */
  readonly settings: Settings;
  /** What was given and is not followed, in words; null when there is nothing. */
  readonly unfollowed: string | null;
  /** PEM text of the authorities that the controller's certificate must come from; absent: the system's. */
  readonly ca?: string;
}

/**
 * Credentials as the openstack command finds them: passwords, passcodes, tokens and application credentials of a cloud of clouds.yaml (--os-cloud, OS_CLOUD, or the only one there),
 * else OS_* variables. Looked for: $OS_CLIENT_CONFIG_FILE, ./clouds.yaml, ~/.config/openstack, /etc/openstack, /etc/maru.
 */
export function findCredentials(env: NodeJS.ProcessEnv = process.env, cloudName?: string): Credentials {
  const name = cloudName ?? env.OS_CLOUD;
  if (name === undefined && env.OS_AUTH_URL) return fromEnvironment(env);
  const file = cloudFiles(env).find((path) => existsSync(path));
  if (!file) {
    throw new CliError(
      'no credentials: set OS_CLOUD and have a clouds.yaml (OS_CLIENT_CONFIG_FILE names it), or set OS_AUTH_URL and OS_USERNAME, ' +
        'OS_PASSWORD and OS_PROJECT_NAME, or OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET',
      2,
    );
  }
  return fromCloudsFile(file, name, env);
}

function cloudFiles(env: NodeJS.ProcessEnv): string[] {
  return [
    ...(env.OS_CLIENT_CONFIG_FILE ? [env.OS_CLIENT_CONFIG_FILE] : []),
    'clouds.yaml',
    join(homedir(), '.config/openstack/clouds.yaml'),
    '/etc/openstack/clouds.yaml',
    '/etc/maru/clouds.yaml',
    '/var/lib/maru-lab/clouds.yaml',
  ];
}

function fromCloudsFile(file: string, wanted: string | undefined, env: NodeJS.ProcessEnv): Credentials {
  const clouds = cloudsIn(file);
  const names = Object.keys(clouds);
  const name = wanted ?? (names.includes('maru') ? 'maru' : names.length === 1 ? names[0] : undefined);
  const cloud = name === undefined ? undefined : clouds[name];
  if (!cloud?.auth)
    throw new CliError(
      `${file}: no cloud '${name ?? ''}' (it has: ${names.join(', ') || 'none'}); set OS_CLOUD`,
      2,
    );
  if (!isMapping(cloud.auth))
    throw new CliError(`${file}: cloud ${name}: auth must be settings with their values, one in a line`, 2);
  const given = { ...cloud, ...cloud.auth };
  const settings: Record<string, string | undefined> = {};
  for (const key of UNDERSTOOD) settings[key] = textOf(given[key]);
  // Secrets that are typed rather than kept. The file says of which kind: variables may be left over from another cloud, and this one
  // must not be sent what it did not ask for.
  for (const key of typedSecrets(settings)) settings[key] ??= fromVariable(env, key);
  const strange = Object.entries(cloud.auth).filter(([key]) => !UNDERSTOOD.includes(key));
  const hint = strange.length > 0 ? `; maru does not understand ${strange.map(nameOf).join(', ')}` : '';
  return complete(settings, (key) => `${file}: cloud ${name}: ${key}`, {
    hint,
    cacert: textOf(cloud.cacert),
    unchecked: cloud.verify === false || cloud.insecure === true,
  });
}

function cloudsIn(file: string): Readonly<Record<string, Entry | null>> {
  const text = readTextFile(file, '', 2);
  let content: unknown;
  try {
    content = parseSecretYaml(text);
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`, 2);
  }
  const clouds = isMapping(content) ? (content.clouds ?? {}) : (content ?? {});
  if (!isMapping(clouds))
    throw new CliError(`${file}: clouds must be names of clouds with their settings`, 2);
  return clouds as Readonly<Record<string, Entry | null>>;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `{password:secret}` is a name without a value for YAML: what may be a secret is not repeated. */
function nameOf([key, value]: [string, unknown]): string {
  return /^[a-z][\w-]*$/i.test(key) && value !== null
    ? key
    : 'a key without a value (is there a space behind the colon?)';
}

/** A cloud of clouds.yaml. */
interface Entry extends Readonly<Record<string, unknown>> {
  readonly auth?: Readonly<Record<string, unknown>>;
}

function fromEnvironment(env: NodeJS.ProcessEnv): Credentials {
  const settings = Object.fromEntries(UNDERSTOOD.map((key) => [key, fromVariable(env, key)]));
  return complete(settings, variable, {
    hint: '',
    cacert: fromVariable(env, 'cacert'),
    unchecked: /^(1|true|yes)$/i.test(env.OS_INSECURE ?? ''),
  });
}

function complete(
  settings: Settings,
  called: (key: string) => string,
  rest: { readonly hint: string; readonly cacert: string | undefined; readonly unchecked: boolean },
): Credentials {
  const { auth_url } = settings;
  if (auth_url === undefined) throw new CliError(`${called('auth_url')} is missing${rest.hint}`, 2);
  return {
    authUrl: auth_url,
    settings,
    ...authRequest(settings, called, rest.hint),
    ...(rest.cacert === undefined ? {} : { ca: readTextFile(rest.cacert, called('cacert'), 2) }),
    unfollowed: rest.unchecked
      ? 'maru always checks certificates, whatever verify, insecure and OS_INSECURE say: give cacert (OS_CACERT)'
      : null,
  };
}

function variable(key: string): string {
  return `OS_${key.toUpperCase()}`;
}

/** What a variable of the environment says; those that are empty count as not set. */
function fromVariable(env: NodeJS.ProcessEnv, key: string): string | undefined {
  return env[variable(key)] || undefined;
}

/** A value of YAML, where secrets of digits are numbers and several methods are a list. */
function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.map(String).join(',');
  return value === undefined || value === null || value === '' || typeof value === 'object'
    ? undefined
    : String(value);
}
