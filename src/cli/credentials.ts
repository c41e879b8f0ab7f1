import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { CliError } from './error.js';

/** What is needed to get a token. */
export interface Credentials {
  readonly authUrl: string;
  readonly username: string;
  readonly password: string;
  readonly projectName: string;
  readonly userDomain: string;
  readonly projectDomain: string;
  /** PEM text of the authorities that the controller's certificate must come from; absent: the system's. */
  readonly ca?: string;
}

/**
 * Credentials as the openstack command finds them: a cloud of clouds.yaml (--os-cloud, OS_CLOUD, or the only one there),
 * else OS_* variables. Looked for: $OS_CLIENT_CONFIG_FILE, ./clouds.yaml, ~/.config/openstack, /etc/openstack, /etc/maru.
 */
export function findCredentials(env: NodeJS.ProcessEnv = process.env, cloudName?: string): Credentials {
  const name = cloudName ?? env.OS_CLOUD;
  if (name === undefined && env.OS_AUTH_URL) return fromEnvironment(env);
  const file = cloudFiles(env).find((path) => existsSync(path));
  if (!file) {
    throw new CliError(
      'no credentials: set OS_CLOUD and have a clouds.yaml (OS_CLIENT_CONFIG_FILE names it), or set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME',
      2,
    );
  }
  return fromCloudsFile(file, name);
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

function fromCloudsFile(file: string, wanted: string | undefined): Credentials {
  const { clouds = {} } = (parse(readable(file)) ?? {}) as {
    clouds?: Record<string, { auth?: Record<string, string>; cacert?: string }>;
  };
  const names = Object.keys(clouds);
  const name = wanted ?? (names.includes('maru') ? 'maru' : names.length === 1 ? names[0] : undefined);
  const cloud = name === undefined ? undefined : clouds[name];
  const auth = cloud?.auth;
  if (!auth)
    throw new CliError(
      `${file}: no cloud '${name ?? ''}' (it has: ${names.join(', ') || 'none'}); set OS_CLOUD`,
      2,
    );
  return {
    authUrl: required(auth.auth_url, `${file}: cloud ${name}: auth_url`),
    username: required(auth.username, `${file}: cloud ${name}: username`),
    password: required(auth.password, `${file}: cloud ${name}: password`),
    projectName: required(auth.project_name, `${file}: cloud ${name}: project_name`),
    userDomain: auth.user_domain_name ?? 'Default',
    projectDomain: auth.project_domain_name ?? 'Default',
    ...authority(cloud.cacert, `${file}: cloud ${name}: cacert`),
  };
}

function readable(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`${(error as Error).message}; as root it can be read: use sudo`);
  }
}

function fromEnvironment(env: NodeJS.ProcessEnv): Credentials {
  return {
    authUrl: required(env.OS_AUTH_URL, 'OS_AUTH_URL'),
    username: required(env.OS_USERNAME, 'OS_USERNAME'),
    password: required(env.OS_PASSWORD, 'OS_PASSWORD'),
    projectName: required(env.OS_PROJECT_NAME, 'OS_PROJECT_NAME'),
    userDomain: env.OS_USER_DOMAIN_NAME ?? 'Default',
    projectDomain: env.OS_PROJECT_DOMAIN_NAME ?? 'Default',
    ...authority(env.OS_CACERT, 'OS_CACERT'),
  };
}

function authority(file: string | undefined, what: string): { ca?: string } {
  if (!file) return {};
  try {
    return { ca: readFileSync(file, 'utf8') };
  } catch (error) {
    throw new CliError(`${what}: ${(error as Error).message}`, 2);
  }
}

function required(value: string | undefined, what: string): string {
  if (!value) throw new CliError(`${what} is missing`, 2);
  return value;
}
