import { createHash } from 'node:crypto';
import type { ApplicationCredentialRow } from '../../../store/identity/delegations.js';
import { findUser, type UserRow, users } from '../../../store/identity/users.js';
import type { App } from '../../app.js';
import { badRequest, MaruError } from '../../errors.js';
import type { OauthRequest } from '../../oauth/verify.js';
import type { Lookups } from '../lookups.js';
import type { TokenPayload, TokenScope } from '../payload.js';

/** A thing named by id, or by name within a domain. */
export interface Reference {
  readonly id?: string;
  readonly name?: string;
  readonly domain?: DomainReference;
}

export interface DomainReference {
  readonly id?: string;
  readonly name?: string;
}

/** `auth.identity` of a request for a token, as its schema has checked it. */
export interface IdentityRequest {
  readonly methods: readonly string[];
  readonly password?: { readonly user: Reference & { readonly password: string } };
  readonly totp?: { readonly user: Reference & { readonly passcode: string } };
  readonly token?: { readonly id: string };
  readonly oauth1?: object;
  readonly application_credential?: {
    readonly id?: string;
    readonly name?: string;
    readonly user?: Reference;
    readonly secret: string;
  };
}

/** Where a request for a token comes from, and what came with it besides its body. */
export interface Caller {
  readonly address: string;
  /** Text of a receipt for the methods that succeeded before. */
  readonly receipt?: string;
  /** The request as a consumer has signed it, for method oauth1. */
  readonly signed?: OauthRequest;
  /** Identity's epoch before anything was looked at; absent: as it is now. */
  readonly since?: number;
}

/** Whom a method has proved the caller to be. */
export interface Proof {
  readonly userId: string;
  /** The token that it was proved by. */
  readonly parent?: TokenPayload;
  readonly credential?: ApplicationCredentialRow;
  /** Set when the proof is good for one scope only. */
  readonly scope?: TokenScope;
  readonly accessTokenId?: string;
}

/** One way to prove who one is: rejects with a 401 that tells nothing about what exists. */
export type Prove = (app: App, identity: IdentityRequest, caller: Caller) => Promise<Proof>;

/** The refusal of every failed authentication. */
export function unauthorized(): MaruError {
  return new MaruError('unauthorized', 'The request you have made requires authentication.');
}

/** What a request gives for one of its methods; 400 when it names the method and gives nothing. */
export function given<T>(what: T | undefined, method: string): T {
  if (what === undefined) throw badRequest(`Expecting to find ${method} in identity.`);
  return what;
}

/**
 * The user that a request names, by one statement whether there is one or not: of users nothing kept is used, or time would tell
 * who has been here before.
 */
export async function resolveUser(app: App, reference: Reference): Promise<UserRow | undefined> {
  const db = app.store.read;
  if (reference.id !== undefined) return await users.get(db, reference.id);
  if (reference.name === undefined || !reference.domain) {
    throw badRequest('A user is named by its id, or by its name and its domain.');
  }
  const domainId = await resolveDomain(await app.identity.tokens.lookups(), reference.domain);
  return domainId === undefined ? undefined : await findUser(db, domainId, reference.name);
}

/** The id of the domain that a request names. */
export async function resolveDomain(
  known: Lookups,
  { id, name }: DomainReference,
): Promise<string | undefined> {
  if (id !== undefined) return id;
  if (name === undefined) throw badRequest('A domain is named by its id or its name.');
  return (await known.projectNamed('', name))?.id;
}

/** What attempts are counted by: the account, known or not, and the address they come from; a hash, whatever names are sent. */
export function throttleKey(reference: Reference, user: UserRow | undefined, address: string): string {
  const domain = reference.domain?.id ?? reference.domain?.name ?? '';
  const account = user?.id ?? `${reference.id ?? ''}/${domain}/${reference.name ?? ''}`;
  return createHash('sha256').update(`${account}/${address}`).digest('base64url');
}
