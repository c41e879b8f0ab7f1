import {
  type ApplicationCredentialRow,
  applicationCredentials,
  findApplicationCredential,
  trusts,
  useTrust,
} from '../../store/identity/delegations.js';
import { findProject } from '../../store/identity/projects.js';
import { findUser, type UserRow, users } from '../../store/identity/users.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest, MaruError, notFound } from '../errors.js';
import { verifyPassword } from '../identity/passwords.js';
import type { AuthMethod, TokenPayload, TokenScope } from './payload.js';
import { resolveSubject } from './resolve.js';
import type { ValidToken } from './service.js';
import { hasExpired } from './times.js';

/** A thing named by id, or by name within a domain. */
interface Reference {
  readonly id?: string;
  readonly name?: string;
  readonly domain?: { readonly id?: string; readonly name?: string };
}

/** `auth` of a request for a token, as its schema has checked it. */
export interface AuthRequest {
  readonly identity: {
    readonly methods: readonly string[];
    readonly password?: { readonly user: Reference & { readonly password: string } };
    readonly token?: { readonly id: string };
    readonly application_credential?: {
      readonly id?: string;
      readonly name?: string;
      readonly user?: Reference;
      readonly secret: string;
    };
  };
  readonly scope?:
    | 'unscoped'
    | {
        readonly project?: Reference;
        readonly domain?: { readonly id?: string; readonly name?: string };
        readonly system?: { readonly all: boolean };
        readonly unscoped?: object;
        readonly 'OS-TRUST:trust'?: { readonly id: string };
      };
}

/** Whom the methods of a request have proved the caller to be. */
interface Proof {
  readonly userId: string;
  readonly parent?: TokenPayload;
  readonly credential?: ApplicationCredentialRow;
}

/**
 * Issues a token for what the caller proves and asks for. Every refusal is the same 401, so that it tells nothing about
 * which users, projects or grants exist; only a token that is no longer good is a 404, as clients expect.
 */
export async function authenticate(app: App, auth: AuthRequest, address: string): Promise<ValidToken> {
  const methods = [...new Set(auth.identity.methods)];
  if (methods.length === 0) throw unauthorized();
  let proof: Proof | undefined;
  for (const method of methods) {
    const next = await prove(app, auth, method, address);
    if (proof && next.userId !== proof.userId) throw unauthorized();
    proof = { ...proof, ...next };
  }
  const { userId, parent, credential } = proof!;
  const trust = typeof auth.scope === 'object' ? auth.scope['OS-TRUST:trust'] : undefined;
  if (trust) return await byTrust(app, proof!, methods as AuthMethod[], trust.id);
  // what came by a trust stays within it
  if (parent && parent.trustId !== null) throw unauthorized();
  const scope = await wantedScope(app.store.read, auth, proof!);
  const token = await app.identity.tokens.issue({
    userId,
    methods: methods as AuthMethod[],
    scope,
    parent,
    applicationCredentialId: credential?.id,
  });
  if (!token) throw unauthorized();
  return token;
}

/** A token by which the trustee of a trust acts, as the trustor when the trust says so. */
async function byTrust(
  app: App,
  proof: Proof,
  methods: readonly AuthMethod[],
  trustId: string,
): Promise<ValidToken> {
  const trust = await trusts.get(app.store.read, trustId);
  const mayUse = trust?.trustee_user_id === proof.userId && trust.project_id !== null;
  if (!mayUse || proof.credential || proof.parent?.applicationCredentialId || proof.parent?.trustId) {
    throw unauthorized();
  }
  const request = {
    userId: trust.impersonation ? trust.trustor_user_id : trust.trustee_user_id,
    methods,
    scope: { kind: 'project', id: trust.project_id! } as const,
    parent: proof.parent,
    trustId,
  };
  if (trust.remaining_uses !== null && !(await app.store.tx((tx) => useTrust(tx, trustId)))) {
    throw unauthorized();
  }
  const token = await app.identity.tokens.issue(request);
  if (!token) throw unauthorized();
  return token;
}

/** The refusal of every failed authentication. */
export function unauthorized(): MaruError {
  return new MaruError('unauthorized', 'The request you have made requires authentication.');
}

async function prove(app: App, auth: AuthRequest, method: string, address: string): Promise<Proof> {
  const { password, token, application_credential: credential } = auth.identity;
  switch (method) {
    case 'password':
      if (!password) throw badRequest('Expecting to find password in identity.');
      return await provePassword(app, password.user, password.user.password, address);
    case 'token':
      if (!token) throw badRequest('Expecting to find token in identity.');
      return await proveToken(app, token.id);
    case 'application_credential':
      if (!credential) throw badRequest('Expecting to find application_credential in identity.');
      return await proveCredential(app, credential, address);
    default:
      throw unauthorized();
  }
}

async function provePassword(
  app: App,
  reference: Reference,
  password: string,
  address: string,
): Promise<Proof> {
  const user = await resolveUser(app.store.read, reference);
  const proved = await app.identity.throttle.run(throttleKey(reference, user, address), async () =>
    verifyPassword(user?.password_hash ?? null, password),
  );
  if (!user || !proved) throw unauthorized();
  if (hasExpired(user.password_expires_at)) {
    throw new MaruError(
      'unauthorized',
      `The password is expired and needs to be changed for user: ${user.id}.`,
    );
  }
  return { userId: user.id };
}

async function proveToken(app: App, text: string): Promise<Proof> {
  const token = await app.identity.tokens.validate(text);
  if (!token) throw notFound('Could not find token.');
  return { userId: token.payload.userId, parent: token.payload };
}

async function proveCredential(
  app: App,
  given: NonNullable<AuthRequest['identity']['application_credential']>,
  address: string,
): Promise<Proof> {
  const db = app.store.read;
  let credential: ApplicationCredentialRow | undefined;
  if (given.id !== undefined) {
    credential = await applicationCredentials.get(db, given.id);
  } else if (given.name !== undefined && given.user) {
    const user = await resolveUser(db, given.user);
    credential = user && (await findApplicationCredential(db, user.id, given.name));
  } else {
    throw badRequest('An application credential is named by its id, or by its name and its user.');
  }
  const key = `application_credential/${given.id ?? given.name}/${address}`;
  const proved = await app.identity.throttle.run(key, async () =>
    verifyPassword(credential?.secret_hash ?? null, given.secret),
  );
  if (!credential || !proved || hasExpired(credential.expires_at)) throw unauthorized();
  return { userId: credential.user_id, credential };
}

async function resolveUser(db: Reader, reference: Reference): Promise<UserRow | undefined> {
  if (reference.id !== undefined) return await users.get(db, reference.id);
  if (reference.name === undefined || !reference.domain) {
    throw badRequest('A user is named by its id, or by its name and its domain.');
  }
  const domainId = await resolveDomain(db, reference.domain);
  return domainId === undefined ? undefined : await findUser(db, domainId, reference.name);
}

async function resolveDomain(
  db: Reader,
  { id, name }: { readonly id?: string; readonly name?: string },
): Promise<string | undefined> {
  if (id !== undefined) return id;
  if (name === undefined) throw badRequest('A domain is named by its id or its name.');
  return (await findProject(db, '', name))?.id;
}

function throttleKey(reference: Reference, user: UserRow | undefined, address: string): string {
  const account = user?.id ?? `${reference.id ?? ''}/${reference.domain?.id ?? ''}/${reference.name ?? ''}`;
  return `${account}/${address}`;
}

async function wantedScope(db: Reader, auth: AuthRequest, proof: Proof): Promise<TokenScope> {
  const asked = await askedScope(db, auth.scope);
  const credentialProject = proof.credential?.project_id ?? (await parentCredentialProject(db, proof.parent));
  if (credentialProject !== undefined) {
    if (asked && !(asked.kind === 'project' && asked.id === credentialProject)) throw unauthorized();
    return { kind: 'project', id: credentialProject };
  }
  if (asked) return asked;
  const user = await users.get(db, proof.userId);
  if (user?.default_project_id) {
    const scope = { kind: 'project', id: user.default_project_id } as const;
    if (await resolveSubject(db, user.id, scope)) return scope;
  }
  return { kind: 'unscoped' };
}

/** A token got by an application credential keeps to that credential's project. */
async function parentCredentialProject(
  db: Reader,
  parent: TokenPayload | undefined,
): Promise<string | undefined> {
  if (!parent?.applicationCredentialId) return undefined;
  const credential = await applicationCredentials.get(db, parent.applicationCredentialId);
  if (!credential) throw unauthorized();
  return credential.project_id;
}

/** The scope that the request names; null when it names none. */
async function askedScope(db: Reader, scope: AuthRequest['scope']): Promise<TokenScope | null> {
  if (scope === undefined) return null;
  if (scope === 'unscoped' || scope.unscoped) return { kind: 'unscoped' };
  if (scope.system) {
    if (!scope.system.all) throw badRequest('A system scope is for all of the system.');
    return { kind: 'system' };
  }
  if (scope.domain) {
    const id = await resolveDomain(db, scope.domain);
    if (id === undefined) throw unauthorized();
    return { kind: 'domain', id };
  }
  if (!scope.project) throw badRequest('The scope is none of project, domain, system and unscoped.');
  const { id, name, domain } = scope.project;
  if (id !== undefined) return { kind: 'project', id };
  if (name === undefined || !domain) {
    throw badRequest('A project is named by its id, or by its name and its domain.');
  }
  const domainId = await resolveDomain(db, domain);
  const project = domainId === undefined ? undefined : await findProject(db, domainId, name);
  if (!project) throw unauthorized();
  return { kind: 'project', id: project.id };
}
