import { applicationCredentials, trusts, useTrust } from '../../store/identity/delegations.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest, MaruError } from '../errors.js';
import { admitActive } from '../user/activity.js';
import { forgiveFailures } from '../user/attempt.js';
import { factorRules, InsufficientAuthMethods, satisfies } from '../user/factors.js';
import type { Lookups } from './lookups.js';
import {
  type Caller,
  type DomainReference,
  type IdentityRequest,
  type Proof,
  type Reference,
  resolveDomain,
  unauthorized,
} from './methods/method.js';
import { isMethod, methodOf } from './methods/methods.js';
import type { AuthMethod, TokenPayload, TokenScope } from './payload.js';
import { readReceipt } from './receipt.js';
import { type AskedScope, refuseFromSystem, refuseRescope } from './rescope.js';
import { resolveSubject } from './resolve.js';
import type { ValidToken } from './service.js';

/** `auth` of a request for a token, as its schema has checked it. */
export interface AuthRequest {
  readonly identity: IdentityRequest;
  readonly scope?:
    | 'unscoped'
    | {
        readonly project?: Reference;
        readonly domain?: DomainReference;
        readonly system?: { readonly all: boolean };
        readonly unscoped?: object;
        readonly 'OS-TRUST:trust'?: { readonly id: string };
      };
}

/** What proves nothing of its own: it comes from a proof that was noted then. */
const SECOND_HAND: readonly string[] = ['token'];
/** Methods whose secrets can be guessed, so that failures are counted. */
const GUESSED: readonly string[] = ['password', 'totp'];

/**
 * Issues a token for what the caller proves and asks for. Every refusal is the same 401, so that it tells nothing about
 * which users, projects or grants exist; only a token that is no longer good is a 404, as clients expect. Throws
 * InsufficientAuthMethods when the user's rules want more methods than the request and its receipt have.
 */
export async function authenticate(app: App, auth: AuthRequest, caller: Caller): Promise<ValidToken> {
  refuseChosenScope(auth);
  const since = caller.since ?? (await app.identity.tokens.epoch());
  const { proof, methods } = await proveAll(app, auth.identity, caller);
  // as things are now: hashing takes its time
  const known = await app.identity.tokens.lookups();
  await admit(app, known, proof, methods, auth.identity.methods);
  const trust = typeof auth.scope === 'object' ? auth.scope['OS-TRUST:trust'] : undefined;
  if (proof.parent) refuseRescope(app.config, proof.parent, askedKind(auth.scope));
  if (trust) return await byTrust(app, proof, methods, trust.id, since);
  const scope = await wantedScope(app.store.read, known, auth, proof);
  if (proof.parent) refuseFromSystem(proof.parent, scope.kind);
  const token = await app.identity.tokens.issue({
    userId: proof.userId,
    methods,
    scope,
    parent: proof.parent,
    applicationCredentialId: proof.credential?.id,
    accessTokenId: proof.accessTokenId,
    since,
  });
  if (!token) throw unauthorized();
  return token;
}

/** An application credential is for its project; said before anything is looked at, so that it tells nothing about what exists. */
function refuseChosenScope({ identity, scope }: AuthRequest): void {
  if (scope === undefined || !identity.methods.includes('application_credential')) return;
  throw new MaruError(
    'unauthorized',
    'Error authenticating with application credential: Application credentials cannot request a scope.',
  );
}

/** Whom the methods of a request prove the caller to be: all the same. With it, the methods that count, a receipt's too. */
async function proveAll(
  app: App,
  identity: IdentityRequest,
  caller: Caller,
): Promise<{ readonly proof: Proof; readonly methods: readonly AuthMethod[] }> {
  const names = [...new Set(identity.methods)];
  if (names.length === 0) throw unauthorized();
  let proof: Proof | undefined;
  for (const name of names) {
    const next = await methodOf(name)(app, identity, caller);
    if (proof && next.userId !== proof.userId) throw unauthorized();
    proof = { ...proof, ...next };
  }
  refuseMixed(proof!);
  const { userId, parent } = proof!;
  const receipt = caller.receipt === undefined ? null : await readReceipt(app, caller.receipt);
  if (receipt && receipt.userId !== userId) throw unauthorized();
  const methods = [...new Set([...names, ...(parent?.methods ?? []), ...(receipt?.methods ?? [])])];
  return { proof: proof!, methods: methods as AuthMethod[] };
}

/** A token acts by one delegation at most: two together would give what neither of them does. */
function refuseMixed({ credential, accessTokenId, parent }: Proof): void {
  const inherited = parent && (parent.applicationCredentialId ?? parent.trustId ?? parent.accessTokenId);
  if ([credential, accessTokenId, inherited ?? undefined].filter((by) => by !== undefined).length > 1) {
    throw unauthorized();
  }
}

/** Whether somebody who has proved to be a user may have a token: several factors, locks, inactivity. */
async function admit(
  app: App,
  known: Lookups,
  proof: Proof,
  methods: readonly string[],
  asked: readonly string[],
): Promise<void> {
  const user = await known.user(proof.userId);
  if (!user?.enabled) throw unauthorized();
  app.audit.note({ user: { id: user.id, name: user.name, domain: { id: user.domain_id } } });
  if (!satisfies(factorRules(user, isMethod), methods)) throw new InsufficientAuthMethods(user.id, methods);
  if (asked.some((name) => GUESSED.includes(name)) && !(await forgiveFailures(app, user))) {
    throw unauthorized();
  }
  if (asked.every((name) => SECOND_HAND.includes(name))) return;
  if (!(await admitActive(app, user))) throw unauthorized();
}

/** A token by which the trustee of a trust acts, as the trustor when the trust says so. */
async function byTrust(
  app: App,
  proof: Proof,
  methods: readonly AuthMethod[],
  trustId: string,
  since: number,
): Promise<ValidToken> {
  const trust = await trusts.get(app.store.read, trustId);
  const mayUse = trust?.trustee_user_id === proof.userId && trust.project_id !== null;
  // who acts by another delegation has nothing but what that one gives
  if (!mayUse || proof.scope || proof.parent?.applicationCredentialId || proof.parent?.trustId) {
    throw unauthorized();
  }
  const request = {
    userId: trust.impersonation ? trust.trustor_user_id : trust.trustee_user_id,
    methods,
    scope: { kind: 'project', id: trust.project_id! } as const,
    parent: proof.parent,
    trustId,
    since,
  };
  if (trust.remaining_uses !== null && !(await app.store.tx((tx) => useTrust(tx, trustId)))) {
    throw unauthorized();
  }
  const token = await app.identity.tokens.issue(request);
  if (!token) throw unauthorized();
  return token;
}

async function wantedScope(db: Reader, known: Lookups, auth: AuthRequest, proof: Proof): Promise<TokenScope> {
  const asked = await askedScope(known, auth.scope);
  const bound = proof.scope;
  if (bound) {
    const same =
      asked && asked.kind === bound.kind && (!('id' in bound) || ('id' in asked && asked.id === bound.id));
    if (asked && !same) throw unauthorized();
    return bound;
  }
  const credentialProject = await parentCredentialProject(db, proof.parent);
  if (credentialProject !== undefined) {
    if (asked && !(asked.kind === 'project' && asked.id === credentialProject)) throw unauthorized();
    return { kind: 'project', id: credentialProject };
  }
  if (asked) return asked;
  const user = await known.user(proof.userId);
  if (user?.default_project_id) {
    const scope = { kind: 'project', id: user.default_project_id } as const;
    if (await resolveSubject(db, known, { userId: user.id, scope })) return scope;
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

/** Of what kind the scope is that the request names. */
function askedKind(scope: AuthRequest['scope']): AskedScope {
  if (scope === undefined) return 'none';
  if (scope === 'unscoped' || scope.unscoped) return 'unscoped';
  if (scope['OS-TRUST:trust']) return 'trust';
  return scope.system ? 'system' : scope.domain ? 'domain' : 'project';
}

/** The scope that the request names; null when it names none. */
async function askedScope(known: Lookups, scope: AuthRequest['scope']): Promise<TokenScope | null> {
  if (scope === undefined) return null;
  if (scope === 'unscoped' || scope.unscoped) return { kind: 'unscoped' };
  if (scope.system) {
    if (!scope.system.all) throw badRequest('A system scope is for all of the system.');
    return { kind: 'system' };
  }
  if (scope.domain) {
    const id = await resolveDomain(known, scope.domain);
    if (id === undefined) throw unauthorized();
    return { kind: 'domain', id };
  }
  if (!scope.project) throw badRequest('The scope is none of project, domain, system and unscoped.');
  const { id, name, domain } = scope.project;
  if (id !== undefined) return { kind: 'project', id };
  if (name === undefined || !domain) {
    throw badRequest('A project is named by its id, or by its name and its domain.');
  }
  const domainId = await resolveDomain(known, domain);
  const project = domainId === undefined ? null : await known.projectNamed(domainId, name);
  if (!project) throw unauthorized();
  return { kind: 'project', id: project.id };
}
