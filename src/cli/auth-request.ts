import { CliError } from './error.js';

/** Settings of a cloud under keystoneauth's names, such as `auth_url` and `user_domain_id`. */
export type Settings = Readonly<Record<string, string | undefined>>;

/** How to get a token. */
export interface AuthRequest {
  /** `auth` of a request for a token; null: `token` is one already, and is used as it is. */
  readonly auth: { readonly identity: object; readonly scope?: object } | null;
  readonly token: string | null;
  /** Whose it is, in words. */
  readonly who: string;
  /** What may be wrong when the controller refuses. */
  readonly doubt: string;
}

/** Settings that are understood. */
export const UNDERSTOOD: readonly string[] = [
  ...['auth_type', 'auth_url', 'auth_methods', 'password', 'passcode', 'token'],
  ...['username', 'user_name', 'user_id', 'user_domain_id', 'user_domain_name'],
  ...['project_id', 'project_name', 'tenant_id', 'tenant_name', 'project_domain_id', 'project_domain_name'],
  ...['domain_id', 'domain_name', 'default_domain_id', 'default_domain_name', 'default_domain'],
  ...['system_scope', 'trust_id'],
  ...['application_credential_id', 'application_credential_name', 'application_credential_secret'],
];

/** Kinds of authentication by keystoneauth's names of them. */
const TYPES: Readonly<Record<string, 'user' | 'token' | 'application-credential'>> = {
  password: 'user',
  v3password: 'user',
  v3totp: 'user',
  v3multifactor: 'user',
  token: 'token',
  v3token: 'token',
  v3applicationcredential: 'application-credential',
};

/**
 * What to send for a token. `called` gives the name of a setting as its user knows it, `hint` is added where something is missing.
 * Throws CliErrors with exit code 2 about what is missing, contradicts itself or is not understood.
 */
export function authRequest(given: Settings, called: (key: string) => string, hint = ''): AuthRequest {
  const settings = withoutAliases(given);
  const type = settings.auth_type ?? guess(settings);
  const kind = TYPES[type];
  if (!kind) {
    throw new CliError(
      `${called('auth_type')}: maru does not understand '${type}'; it understands ${Object.keys(TYPES).join(', ')}`,
      2,
    );
  }
  const need = (key: string, otherwise = '') => {
    const value = settings[key];
    if (value === undefined) throw new CliError(`${called(key)} is missing${otherwise}${hint}`, 2);
    return value;
  };
  const scopes = scopesOf(settings, called);
  if (kind === 'application-credential') return byApplicationCredential(settings, need, scopes);
  if (kind === 'token') return byToken(need('token'), scopes);
  const methods = methodsOf(type, need, called('auth_methods'));
  const name = settings.user_id ?? need('username');
  const secrets = Object.fromEntries(
    methods.map((method) => [method, { user: { ...userOf(settings), ...secretOf(method, need) } }]),
  );
  if (!scopes[0])
    need('project_name', ' (or another scope: project_id, domain_id, domain_name, system_scope)');
  return {
    auth: { identity: { methods, ...secrets }, scope: scopes[0]!.scope },
    token: null,
    who: `user ${name}`,
    doubt: `wrong name or ${methods.includes('password') ? 'password' : 'passcode'}, or no role there (${scopes[0]!.words})`,
  };
}

/** The secrets that the type of authentication of these settings, named or guessed, is proved with. */
export function typedSecrets(settings: Settings): readonly ('password' | 'passcode' | 'token')[] {
  const type = settings.auth_type ?? guess(settings);
  const kind = TYPES[type];
  if (kind === 'token') return ['token'];
  if (kind !== 'user') return [];
  if (type === 'v3multifactor') return ['password', 'passcode'];
  return type === 'v3totp' ? ['passcode'] : ['password'];
}

type Need = (key: string, otherwise?: string) => string;

/** One thing that a token may be for. */
interface Scope {
  readonly scope: object;
  /** As it is written: `project_name web`. */
  readonly words: string;
  /** The setting that names it. */
  readonly setting: string;
}

/** By the id of an application credential, or by its name and its user. It has its project, so none may be asked for. */
function byApplicationCredential(settings: Settings, need: Need, [scope]: readonly Scope[]): AuthRequest {
  const secret = need('application_credential_secret');
  const id = settings.application_credential_id;
  if (id === undefined) need('application_credential_name', ' (or application_credential_id)');
  const name = settings.application_credential_name;
  if (id === undefined && settings.user_id === undefined) {
    need(
      'username',
      ' (or user_id: an application credential is named by its id, or by its name and its user)',
    );
  }
  if (scope) {
    const why = 'an application credential is for its own project, and cannot be used with a scope';
    throw new CliError(`${scope.setting}: ${why}; leave it out`, 2);
  }
  const credential = id === undefined ? { name, user: userOf(settings), secret } : { id, secret };
  return {
    auth: { identity: { methods: ['application_credential'], application_credential: credential } },
    token: null,
    who: `application credential ${id ?? name}`,
    doubt: 'wrong id or secret, or it has expired or was deleted',
  };
}

/** A token as it is, or exchanged for one with another scope. */
function byToken(token: string, [scope]: readonly Scope[]): AuthRequest {
  const identity = { methods: ['token'], token: { id: token } };
  const auth = scope ? { identity, scope: scope.scope } : null;
  return {
    auth,
    token: auth ? null : token,
    who: 'the token',
    doubt: 'it is over, or cannot be exchanged for one with that scope',
  };
}

/** Methods of the API for a type of authentication with which a user proves who it is. */
function methodsOf(type: string, need: Need, called: string): readonly ('password' | 'totp')[] {
  if (type === 'v3totp') return ['totp'];
  if (type !== 'v3multifactor') return ['password'];
  return need('auth_methods', ", such as ['v3password', 'v3totp']")
    .split(',')
    .map((text) => {
      const method = text.trim().replace(/^v3/, '');
      if (method === 'password' || method === 'totp') return method;
      throw new CliError(
        `${called}: maru does not understand '${text.trim()}'; it understands v3password and v3totp`,
        2,
      );
    });
}

function secretOf(method: 'password' | 'totp', need: Need): object {
  if (method === 'password') return { password: need('password') };
  return { passcode: need('passcode', ' (it may come in OS_PASSCODE)') };
}

/** The scopes that settings name: the one they are for. Throws when there are several. */
function scopesOf(settings: Settings, called: (key: string) => string): readonly Scope[] {
  const { project_id, project_name, domain_id, domain_name, system_scope, trust_id } = settings;
  const found: Scope[] = [];
  const add = (key: string, scope: object) =>
    found.push({ scope, words: `${key} ${settings[key]}`, setting: called(key) });
  if (project_id !== undefined) add('project_id', { project: { id: project_id } });
  else if (project_name !== undefined) {
    add('project_name', { project: { name: project_name, domain: domainOf(settings, 'project') } });
  }
  // beside a project they say in which domain names are
  else if (domain_id !== undefined) add('domain_id', { domain: { id: domain_id } });
  else if (domain_name !== undefined) add('domain_name', { domain: { name: domain_name } });
  if (system_scope !== undefined) {
    if (system_scope !== 'all') throw new CliError(`${called('system_scope')}: only 'all' is a scope`, 2);
    add('system_scope', { system: { all: true } });
  }
  if (trust_id !== undefined) add('trust_id', { 'OS-TRUST:trust': { id: trust_id } });
  if (found.length > 1) {
    const names = found.map(({ setting }) => setting).join(' and ');
    throw new CliError(`${names} are several scopes, and a token has one: leave out all but one`, 2);
  }
  return found;
}

function userOf(settings: Settings): object {
  const { user_id, username } = settings;
  return user_id === undefined ? { name: username, domain: domainOf(settings, 'user') } : { id: user_id };
}

/** The domain in which a user or project has its name. */
function domainOf(settings: Settings, of: 'user' | 'project'): object {
  const named = [`${of}_domain`, ...(isForProject(settings) ? ['domain'] : []), 'default_domain'];
  for (const key of named) {
    const { [`${key}_id`]: id, [`${key}_name`]: name } = settings;
    if (id !== undefined) return { id };
    if (name !== undefined) return { name };
  }
  return { id: settings.default_domain ?? 'default' };
}

function isForProject({ project_id, project_name }: Settings): boolean {
  return project_id !== undefined || project_name !== undefined;
}

function withoutAliases(settings: Settings): Settings {
  return {
    ...settings,
    username: settings.username ?? settings.user_name,
    project_id: settings.project_id ?? settings.tenant_id,
    project_name: settings.project_name ?? settings.tenant_name,
  };
}

/** The type of authentication where none is named. */
function guess(settings: Settings): string {
  const { application_credential_id, application_credential_name, token, password } = settings;
  if (application_credential_id ?? application_credential_name) return 'v3applicationcredential';
  return token !== undefined && password === undefined ? 'token' : 'password';
}
