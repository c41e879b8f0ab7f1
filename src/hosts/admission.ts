import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import { forbidden, MaruError } from '../core/errors.js';
import type { Logger } from '../protocol/log.js';
import { findHostByName, findRemovedHosts, type HostRow, replaceCertificate } from '../store/hosts.js';
import type { Store } from '../store/store.js';
import type { Authorities } from './authorities.js';
import { issueOf } from './certificates.js';
import type { Incarnations } from './incarnations.js';

export interface AdmissionParts {
  readonly store: Store;
  readonly log: Logger;
  readonly authorities: Authorities;
  readonly incarnations: Incarnations;
}

/** Refusal with status 410: the host is to let go of its guests. */
export class HostRemoved extends MaruError {
  constructor(name: string, removedAt: string) {
    super(
      'forbidden',
      `Host '${name}' was removed from this cloud at ${removedAt}; what ran on it may exist elsewhere. To use the machine again, clean it and join with a new token (maru host token).`,
      { status: 410 },
    );
  }
}

/** What the certificate of a connection says. */
interface Presented {
  readonly certificate: X509Certificate;
  readonly name: string;
  readonly fingerprint: string;
}

/**
 * The host whose certificate this request comes with. Asked anew for every request, so that an open connection or a resumed
 * session is worth no more than a new one; that its key belongs to the certificate, the handshake has proved. Throws 401 for
 * certificates that prove nothing, 403 for those that were replaced or of unknown hosts, 410 for those of removed hosts; each
 * says what to do.
 */
export async function admit(parts: AdmissionParts, request: FastifyRequest): Promise<HostRow> {
  const presented = present(request.raw.socket as TLSSocket);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const host = await judge(parts, presented);
    if (host) return host;
  }
  throw new MaruError('unavailable', `The certificate of '${presented.name}' is being replaced; try again.`);
}

/** Several requests may be the first ones under a new certificate. */
const ATTEMPTS = 5;

/** null: what is known of the host's certificates changed meanwhile. */
async function judge(parts: AdmissionParts, presented: Presented): Promise<HostRow | null> {
  const { store, authorities } = parts;
  const { certificate, name, fingerprint } = presented;
  const host = await findHostByName(store.read, name);
  const onRecord = host?.certificate_fingerprint === fingerprint;
  // a certificate on record needs no other proof of where it comes from
  if (onRecord ? !authorities.trusts(host.certificate_authority) : authorities.issuerOf(certificate) === null)
    throw unknownAuthority(name);
  requireInTime(presented);
  if (onRecord) return host;
  const issue = issueOf(certificate.serialNumber);
  const last = host?.certificate_issue ?? 0;
  // whichever answer to its requests for a new one the host has got
  if (host && issue <= last && issue > (host.certificate_used_issue ?? 0))
    return await use(parts, host, presented);
  if (host && issue > last) {
    // every certificate is recorded before it is handed out: only a database from before that can lack it
    parts.log.warn('a host has a later certificate than the database knows', { host: name, issue });
    await parts.incarnations.unknownCertificate(host, new Date(issue));
    return await use(parts, host, presented);
  }
  const removed = (await findRemovedHosts(store.read, name)).find((row) => issue <= row.certificate_issue);
  if (removed) throw new HostRemoved(name, removed.removed_at);
  throw forbidden(
    host
      ? `The certificate of '${name}' was replaced. If this is the machine that shall have the name, make a token (maru host token --name ${name}) and join again with it.`
      : `No host is named '${name}'. Make a token (maru host token --name ${name}) and join again with it.`,
  );
}

/** The first use of a certificate ends the one before. */
async function use(parts: AdmissionParts, host: HostRow, presented: Presented): Promise<HostRow | null> {
  const { certificate, fingerprint } = presented;
  const authority = parts.authorities.issuerOf(certificate);
  if (authority === null) throw unknownAuthority(host.name);
  const issue = issueOf(certificate.serialNumber);
  const values = {
    certificate_fingerprint: fingerprint,
    next_certificate_fingerprint: null,
    certificate_expires_at: new Date(certificate.validTo).toISOString(),
    certificate_issue: Math.max(host.certificate_issue ?? 0, issue),
    certificate_used_issue: issue,
    certificate_authority: authority,
  };
  const used = await parts.store.tx((tx) => replaceCertificate(tx, host, values));
  return used ? { ...host, ...values } : null;
}

/** What connections have shown: a connection's certificate never changes, so it is read once. */
const shown = new WeakMap<TLSSocket, Presented>();

function present(socket: TLSSocket): Presented {
  const known = shown.get(socket);
  if (known) return known;
  const { raw } = socket.getPeerCertificate() as { raw?: Buffer };
  if (!raw) throw unauthorized('A client certificate of this installation is required.');
  const certificate = new X509Certificate(raw);
  const presented: Presented = {
    certificate,
    name: /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? '',
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
  shown.set(socket, presented);
  return presented;
}

function requireInTime({ certificate, name }: Presented): void {
  const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  const now = Date.now();
  if (to.getTime() < now) {
    throw unauthorized(
      `The certificate of host '${name}' expired at ${to.toISOString()}. Make a token (maru host token --name ${name}) and join again with it (maru agent --join TOKEN).`,
    );
  }
  if (from.getTime() > now) {
    throw unauthorized(
      `The certificate of host '${name}' is valid from ${from.toISOString()}: is the controller's clock right?`,
    );
  }
}

function unknownAuthority(name: string): MaruError {
  return unauthorized(
    `The certificate of '${name}' comes from no authority that this installation trusts. If the authority was replaced while the host was away (maru ca show), make a token (maru host token --name ${name}) and join again with it.`,
  );
}

function unauthorized(message: string): MaruError {
  return new MaruError('unauthorized', message);
}
