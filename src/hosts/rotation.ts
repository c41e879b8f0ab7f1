import { X509Certificate } from 'node:crypto';
import { conflict } from '../core/errors.js';
import type { AuthorityStatus, HostCertificate } from '../core/gateway.js';
import type { Logger } from '../protocol/log.js';
import { deleteTokensBefore, type HostRow, listHosts } from '../store/hosts.js';
import type { Store } from '../store/store.js';
import type { Authorities } from './authorities.js';

export interface RotationParts {
  readonly store: Store;
  readonly log: Logger;
  readonly authorities: Authorities;
  /** Listens and connects with certificates of the authorities as they are now. */
  readonly renewCredentials: () => Promise<void>;
  readonly isUp: (hostId: string) => boolean;
}

/**
 * Replaces the certificate authority without losing a host: both are trusted until every host has shown a certificate of the new
 * one. Each step is one change of one file; a controller that is killed after it takes it up when it starts.
 */
export class Rotation {
  readonly #parts: RotationParts;

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  /** The authorities, and how far each host is. */
  async status(): Promise<AuthorityStatus> {
    const { authorities, store } = this.#parts;
    await authorities.reload();
    const hosts = (await listHosts(store.read)).map((host) => this.#certificateOf(host));
    const pending = authorities.phase === 'none' ? [] : hosts.filter((host) => !host.renewed);
    return {
      phase: authorities.phase,
      since: authorities.since,
      authorities: authorities.all.map(({ fingerprint, pem, record }) => ({
        fingerprint,
        created_at: record.created_at,
        expires_at: new Date(new X509Certificate(pem).validTo).toISOString(),
        signs_hosts: fingerprint === authorities.signing.fingerprint,
        signs_controller: fingerprint === authorities.presenting.fingerprint,
      })),
      hosts,
      waiting_for: pending.map((host) => host.name),
    };
  }

  /** Makes a new authority and has every host take a certificate of it with its next heartbeat. */
  async rotate(): Promise<AuthorityStatus> {
    await this.#parts.authorities.rotate();
    return await this.#changed('the certificate authority is being replaced');
  }

  /** Has the hosts that took a certificate of the new authority take one of the old again. */
  async abort(): Promise<AuthorityStatus> {
    await this.#parts.authorities.abort();
    return await this.#changed('the replacement of the certificate authority is called off');
  }

  /**
   * Ends the trust in the authority that no longer signs. Refused while a host still shows a certificate of it, unless `force`: then
   * those hosts are out, and have to join again.
   */
  async finish(force: boolean): Promise<AuthorityStatus & { readonly tokens_ended: number }> {
    const { authorities, store } = this.#parts;
    const before = await this.status();
    if (before.waiting_for.length > 0 && !force) {
      throw conflict(
        `These hosts still have a certificate of the authority that would go: ${before.waiting_for.join(', ')}. Those that are up renew by themselves (maru ca show); those that are off do so when they come back, and would have to join again if you finish with --force.`,
      );
    }
    await authorities.finish();
    const { since } = before;
    const tokens_ended =
      before.phase === 'rotating' && since ? await store.tx((tx) => deleteTokensBefore(tx, since)) : 0;
    const after = await this.#changed('the old certificate authority is trusted no longer');
    return { ...after, waiting_for: before.waiting_for, tokens_ended };
  }

  async #changed(what: string): Promise<AuthorityStatus> {
    await this.#parts.renewCredentials();
    const status = await this.status();
    this.#parts.log.warn(what, { authorities: status.authorities.map((one) => one.fingerprint) });
    return status;
  }

  #certificateOf(host: HostRow): HostCertificate {
    const { authorities, isUp } = this.#parts;
    const trusted = JSON.parse(host.trusted_authorities ?? '[]') as string[];
    return {
      name: host.name,
      up: isUp(host.id),
      expires_at: host.certificate_expires_at,
      authority: host.certificate_authority,
      renewed: host.certificate_authority === authorities.signing.fingerprint,
      trusts_retired: trusted.some((fingerprint) => !authorities.trusts(fingerprint)),
    };
  }
}
