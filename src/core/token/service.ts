import { randomBytes } from 'node:crypto';
import type { Config } from '../../config.js';
import { MOST_TOKEN_LIFETIME } from '../../identity-keys.js';
import { purgeRevocations, type RevocationKind, revoke } from '../../store/identity/tokens.js';
import type { Store, Tx } from '../../store/store.js';
import { nowText } from '../../store/store.js';
import type { Authenticator } from '../auth.js';
import type { TokenInfo } from '../context.js';
import type { IdentityEpoch } from '../identity/epoch.js';
import type { KeyRing } from '../identity/key-ring.js';
import { effectiveRoles } from '../role/effective.js';
import { BoundedCache, bytesOf, MiB } from './bounded-cache.js';
import { delegationEnd } from './delegation.js';
import { EpochCache } from './epoch-cache.js';
import { TokenKeys } from './keys.js';
import { LookupCache, type Lookups } from './lookups.js';
import {
  type AuthMethod,
  decodePayload,
  encodePayload,
  type TokenPayload,
  type TokenScope,
} from './payload.js';
import { resolveSubject, resolveToken, type Subject } from './resolve.js';

/** Tokens kept with what they say; enough for every client of a large installation. A tenant's access rules can make them large. */
const MOST_TOKENS = { entries: 5000, bytes: 32 * MiB };
/** Rendered replies kept; each is some kilobytes of catalogue. */
const MOST_BODIES = { entries: 500, bytes: 16 * MiB };
/** Users with a scope that are kept for their next token; their rows have what clients wrote into them. */
const MOST_SUBJECTS = { entries: 2000, bytes: 16 * MiB };

/** Seconds after which another key begins to sign. */
const KEY_LIFETIME = 24 * 3600;
/** Seconds by which the clock of the controller that issued a token may be ahead. */
const CLOCK_SLACK = 600;

/** A token that is good now. */
export interface ValidToken {
  readonly text: string;
  readonly payload: TokenPayload;
  readonly info: TokenInfo;
  /** Identity's epoch in which `info` holds. */
  readonly epoch: number;
}

/** What a new token is for. */
export interface TokenRequest {
  readonly userId: string;
  readonly methods: readonly AuthMethod[];
  readonly scope: TokenScope;
  /** The token it was rescoped from, whose end and chain it keeps. */
  readonly parent?: TokenPayload;
  readonly applicationCredentialId?: string;
  readonly trustId?: string;
  readonly accessTokenId?: string;
  /** `epoch()` before anything was looked at that the request proves: what is revoked meanwhile ends the token. Absent: now. */
  readonly since?: number;
}

/**
 * Issues, validates and revokes tokens. They are signed text without a row of their own; what a valid one says is kept in
 * memory until the identity epoch moves.
 */
export class TokenService implements Authenticator {
  readonly #store: Store;
  readonly #epoch: IdentityEpoch;
  readonly #keys: TokenKeys;
  readonly #lifetime: number;
  /** Milliseconds for which an expired token can still be looked at. */
  readonly #window: number;
  /** The epoch for which the keys were looked up last. */
  #keysEpoch = 0;
  readonly #ring: KeyRing;
  readonly #valid = new BoundedCache<ValidToken>(MOST_TOKENS);
  /** Replies of this epoch: key is the token's text, with or without catalogue. */
  readonly #bodies = new BoundedCache<string>(MOST_BODIES);
  #bodiesEpoch = 0;
  readonly #subjects = new EpochCache<Subject>(MOST_SUBJECTS);
  readonly #lookups: LookupCache;

  constructor(config: Config, store: Store, epoch: IdentityEpoch, ring: KeyRing) {
    this.#store = store;
    this.#epoch = epoch;
    this.#lookups = new LookupCache(store.read);
    this.#lifetime = config.token_lifetime_seconds;
    this.#window = config.token_allow_expired_window_seconds * 1000;
    this.#ring = ring;
    this.#keys = new TokenKeys(ring, this.#lifetime + config.token_allow_expired_window_seconds);
  }

  async authenticate(token: string): Promise<TokenInfo | null> {
    const valid = await this.validate(token);
    return valid?.info ?? null;
  }

  /** What a token says now; null when it is malformed, expired or revoked. Synchronous when that is known already. */
  validate(text: string): ValidToken | null | Promise<ValidToken | null> {
    const epoch = this.#epoch.current();
    return typeof epoch === 'number'
      ? this.#lookUp(text, epoch)
      : epoch.then((value) => this.#lookUp(text, value));
  }

  /** As `validate`, but a token that expired not long ago (`token_allow_expired_window_seconds`) is good too. */
  async validateExpired(text: string): Promise<ValidToken | null> {
    return await this.#resolve(text, await this.#epoch.current(), this.#window);
  }

  /** What tokens are made of, as it is from now on: good for what is done at once, not for after a wait. */
  async lookups(): Promise<Lookups> {
    return this.#lookups.at(await this.#epoch.current());
  }

  /** Identity's epoch now: for `since` of a token that is asked for. */
  epoch(): number | Promise<number> {
    return this.#epoch.current();
  }

  /** Makes a token; null when the user may not act on the scope. */
  async issue(request: TokenRequest): Promise<ValidToken | null> {
    // what came between is looked at, and ends the token if it is about it
    const epoch = await this.#epoch.current();
    const now = Date.now();
    const auditId = randomBytes(16).toString('base64url');
    const { parent } = request;
    const delegation = {
      applicationCredentialId: request.applicationCredentialId ?? parent?.applicationCredentialId ?? null,
      trustId: request.trustId ?? null,
      accessTokenId: request.accessTokenId ?? null,
    };
    // nothing ends a token of two delegations together
    if (Object.values(delegation).filter((id) => id !== null).length > 1) return null;
    const end = Math.floor((await delegationEnd(this.#store.read, delegation)) / 1000);
    if (end * 1000 <= now) return null;
    const payload: TokenPayload = {
      methods: [...new Set([...(parent?.methods ?? []), ...request.methods])],
      userId: request.userId,
      scope: request.scope,
      issuedAt: now,
      expiresAt: Math.min(parent?.expiresAt ?? Math.floor(now / 1000) + this.#lifetime, end),
      epoch: request.since ?? epoch,
      auditIds: parent ? [auditId, parent.auditIds.at(-1)!] : [auditId],
      ...delegation,
    };
    const info = await this.#info(payload, epoch);
    if (!info) return null;
    await this.#refreshKeys(epoch);
    return this.#remember({ text: await this.#keys.sign(encodePayload(payload)), payload, info, epoch });
  }

  /** The reply to a request about a valid token, `{"token":{…}}`, as text. */
  async body(token: ValidToken, options: { readonly catalog: boolean }): Promise<string> {
    const epoch = await this.#epoch.current();
    if (this.#bodiesEpoch !== epoch) {
      this.#bodies.clear();
      this.#bodiesEpoch = epoch;
    }
    const key = options.catalog ? token.text : `${token.text}-`;
    const known = this.#bodies.get(key);
    if (known !== undefined) return known;
    const text = JSON.stringify({ token: await this.#render(token, options.catalog, epoch) });
    // what was looked up before the epoch moved is good for this caller only
    if (token.epoch === epoch && this.#bodiesEpoch === epoch) this.#bodies.set(key, text, 2 * text.length);
    return text;
  }

  /** Ends one token; others of its user stay good. */
  async revokeToken(token: ValidToken): Promise<void> {
    await this.#epoch.write((tx) =>
      revoke(tx, 'token', token.payload.auditIds[0], nowText(), this.#lastUse(token.payload.expiresAt)),
    );
  }

  /** Ends every token of a subject issued so far; for use in the transaction that makes it necessary. */
  async revokeAll(tx: Tx, kind: Exclude<RevocationKind, 'token'>, subject: string): Promise<void> {
    // not by the lifetime of now: tokens from before may have a longer one
    const last = Math.floor(Date.now() / 1000) + MOST_TOKEN_LIFETIME + CLOCK_SLACK;
    await revoke(tx, kind, subject, nowText(), this.#lastUse(last));
  }

  /** True when the user has a role on the system as a whole. */
  async hasSystemRole(userId: string): Promise<boolean> {
    return (await effectiveRoles(this.#store.read, userId, { kind: 'system' })).length > 0;
  }

  /** Begins to sign with a new key: tokens signed by older ones stay good. With `end`, every token ends. */
  async rotateKeys(options: { readonly end: boolean }): Promise<void> {
    if (options.end) await this.#keys.replace();
    else await this.#keys.rotate();
    // the other controllers look the keys up again
    await this.#epoch.write(async () => {});
  }

  /** Looks the keys up again when another controller may have changed them. */
  async followKeys(): Promise<void> {
    await this.#refreshKeys(await this.#epoch.current());
  }

  /** When each signing key was made, newest first, in seconds since 1970. */
  async keys(): Promise<readonly { readonly id: string; readonly createdAt: number }[]> {
    return (await this.#ring.all()).map(({ id, createdAt }) => ({ id, createdAt }));
  }

  /** Periodic work: a new signing key every day, and revocations that no longer matter go. */
  async housekeeping(): Promise<void> {
    await this.#keys.rotate(KEY_LIFETIME);
    await this.#keys.prune();
    await this.#store.tx((tx) => purgeRevocations(tx, nowText()));
  }

  /** User and scope of new tokens, which tools ask for again and again. */
  async #subject(
    epoch: number,
    userId: string,
    scope: TokenScope,
    ownRoles: boolean,
  ): Promise<Subject | null> {
    const key = JSON.stringify([userId, scope, ownRoles]);
    return await this.#subjects.get(epoch, key, () =>
      resolveSubject(this.#store.read, this.#lookups.at(epoch), { userId, scope, ownRoles }),
    );
  }

  /** What a token says in this epoch; null when it is not good. */
  async #info(payload: TokenPayload, epoch: number): Promise<TokenInfo | null> {
    return await resolveToken(this.#store.read, payload, {
      isRevoked: this.#lookups.at(epoch).isRevoked,
      subjectOf: (...of) => this.#subject(epoch, ...of),
    });
  }

  #lookUp(text: string, epoch: number): ValidToken | null | Promise<ValidToken | null> {
    const cached = this.#valid.get(text);
    if (cached?.epoch === epoch) {
      if (cached.payload.expiresAt * 1000 > Date.now()) return cached;
      this.#valid.delete(text);
      return null;
    }
    return this.#resolve(text, epoch);
  }

  async #resolve(text: string, epoch: number, late = 0): Promise<ValidToken | null> {
    await this.#refreshKeys(epoch);
    const bytes = await this.#keys.verify(text);
    const payload = bytes && decodePayload(bytes);
    if (!payload || payload.expiresAt * 1000 + late <= Date.now()) return null;
    // issued after a write that the database, restored since, does not know
    if (payload.epoch !== null && payload.epoch > epoch) return null;
    const info = await this.#info(payload, epoch);
    if (!info) {
      this.#valid.delete(text);
      return null;
    }
    return this.#remember({ text, payload, info, epoch });
  }

  /** Another controller may have made or taken away keys when the epoch moved. */
  async #refreshKeys(epoch: number): Promise<void> {
    if (this.#keysEpoch === epoch) return;
    await this.#ring.all();
    this.#keysEpoch = epoch;
  }

  /** When a token that expires then can no longer be looked at. */
  #lastUse(expiresAt: number): string {
    return new Date(expiresAt * 1000 + this.#window).toISOString();
  }

  #remember(token: ValidToken): ValidToken {
    if (token.payload.expiresAt * 1000 <= Date.now()) return token;
    this.#valid.set(token.text, token, bytesOf(token.info));
    return token;
  }

  async #render({ info }: ValidToken, withCatalog: boolean, epoch: number): Promise<Record<string, unknown>> {
    const { project, domain, system, roles, is_domain, application_credential, trust, oauth1, ...rest } =
      info;
    const scoped = project ?? domain ?? system;
    const projectId = project?.id ?? null;
    return {
      methods: rest.methods,
      user: rest.user,
      audit_ids: rest.audit_ids,
      expires_at: rest.expires_at,
      issued_at: rest.issued_at,
      ...(project && { project, is_domain }),
      ...(domain && { domain }),
      ...(system && { system }),
      ...(scoped && { roles }),
      ...(application_credential && { application_credential }),
      ...(trust && { 'OS-TRUST:trust': trust }),
      ...(oauth1 && { 'OS-OAUTH1': oauth1 }),
      ...(scoped &&
        withCatalog && {
          catalog: await this.#lookups.at(epoch).catalog(projectId, rest.user.id),
        }),
    };
  }
}
