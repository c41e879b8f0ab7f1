import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { badRequest, forbidden, MaruError } from '../core/errors.js';
import type { JoinTokenRequest } from '../core/gateway.js';
import { encodeJoinToken } from '../protocol/join-token.js';
import type { CertificateReply, CertificateRequest, JoinRequest } from '../protocol/messages.js';
import {
  findHostByName,
  findJoinToken,
  type HostRow,
  insertHost,
  insertJoinToken,
  lastIssue,
  replaceCertificate,
  useJoinToken,
} from '../store/hosts.js';
import { isUniqueViolation, nowText, type Store, type Tx } from '../store/store.js';
import type { Authorities } from './authorities.js';
import type { IssuedCertificate } from './certificates.js';

/** Makes a one-time token; only its hash is stored, so the text is shown once. */
export async function createJoinToken(
  store: Store,
  authorities: Authorities,
  options: JoinTokenRequest,
): Promise<{ readonly token: string; readonly expires_at: string }> {
  if (options.hostName !== null) checkHostName(options.hostName);
  const secret = randomBytes(32).toString('base64url');
  const expires_at = new Date(Date.now() + options.ttlSeconds * 1000).toISOString();
  await store.tx((tx) =>
    insertJoinToken(tx, {
      hash: hashOf(secret),
      host_name: options.hostName,
      created_at: nowText(),
      expires_at,
      used_at: null,
      used_by_key: null,
    }),
  );
  const url = options.url === undefined ? {} : { url: options.url };
  const ca_sha256 = authorities.presenting.fingerprint;
  const next = authorities.signing.fingerprint;
  const successor = next === ca_sha256 ? {} : { next_ca_sha256: next };
  return { token: encodeJoinToken({ ...url, secret, ca_sha256, ...successor }), expires_at };
}

/**
 * Lets a host in: checks the token, certifies the host's key, registers it. The same key may repeat its request, since the
 * answer can get lost; anybody else's second use is refused.
 */
export async function joinHost(
  store: Store,
  authorities: Authorities,
  request: JoinRequest,
): Promise<CertificateReply> {
  checkHostName(request.name);
  const key = keyOf(request.csr);
  for (let attempt = 1; ; attempt++) {
    const known = await findHostByName(store.read, request.name);
    const after = await lastIssue(store.read, request.name);
    const issued = await certify(authorities, request.csr, request.name, request.addresses, after);
    try {
      const hostId = await store.tx(async (tx) => {
        await spendToken(tx, request, key);
        return await register(tx, request, issued, authorities.fingerprints, known);
      });
      return { host_id: hostId, certificate: issued.pem, ca: authorities.bundle };
    } catch (error) {
      const raced = error instanceof CertificateRaced || isUniqueViolation(error);
      if (!raced || attempt >= JOIN_ATTEMPTS) throw raced ? new CertificateRaced(request.name) : error;
    }
  }
}

/** Requests for one host's certificate came at the same moment, and another was faster. */
class CertificateRaced extends MaruError {
  constructor(name: string) {
    super('unavailable', `Another request changed the certificate of host '${name}' meanwhile; try again.`);
  }
}

/** The same request may come again while the first is still served. */
const JOIN_ATTEMPTS = 3;

/** Renews the certificate of a host that has shown a valid one. The old one stays good until the new one is used. */
export async function renewCertificate(
  store: Store,
  authorities: Authorities,
  host: HostRow,
  request: CertificateRequest,
): Promise<CertificateReply> {
  const after = host.certificate_issue ?? 0;
  const issued = await certify(authorities, request.csr, host.name, request.addresses, after);
  const recorded = await store.tx((tx) =>
    replaceCertificate(tx, host, {
      next_certificate_fingerprint: issued.fingerprint,
      certificate_issue: issued.issue,
    }),
  );
  // given out all the same, it would be one that the database does not know
  if (!recorded) throw new CertificateRaced(host.name);
  return { host_id: host.id, certificate: issued.pem, ca: authorities.bundle };
}

async function spendToken(tx: Tx, request: JoinRequest, key: string): Promise<void> {
  const hash = hashOf(request.secret);
  const token = await findJoinToken(tx, hash);
  const refused = () =>
    forbidden('The join token is unknown, used or expired; make a new one with `maru host token`.');
  if (!token || token.expires_at < nowText()) throw refused();
  if (token.host_name !== null && token.host_name !== request.name) {
    throw forbidden(`The join token is for a host named '${token.host_name}'.`);
  }
  if (token.used_by_key === key) return;
  if (token.used_at !== null) throw refused();
  if (!(await useJoinToken(tx, hash, key))) {
    // the same request, twice at once
    if ((await findJoinToken(tx, hash))?.used_by_key !== key) throw refused();
    return;
  }
  if (token.host_name === null && (await findHostByName(tx, request.name))) {
    throw new MaruError(
      'conflict',
      `A host named '${request.name}' is known already. To let it join again, make a token for that name, or remove the host first.`,
    );
  }
}

async function register(
  tx: Tx,
  request: JoinRequest,
  issued: IssuedCertificate,
  trusted: readonly string[],
  seen: HostRow | undefined,
): Promise<string> {
  const values = {
    agent_url: request.agent_url,
    underlay_ip: request.underlay_ip,
    certificate_fingerprint: issued.fingerprint,
    next_certificate_fingerprint: null,
    certificate_expires_at: issued.expiresAt,
    certificate_issue: issued.issue,
    certificate_used_issue: issued.issue,
    certificate_authority: issued.authority,
    trusted_authorities: JSON.stringify(trusted),
  };
  if (seen) {
    if (!(await replaceCertificate(tx, seen, values))) throw new CertificateRaced(request.name);
    return seen.id;
  }
  const id = randomUUID();
  await insertHost(tx, {
    id,
    name: request.name,
    simulated: 0,
    enabled: 1,
    sequence: 0,
    created_at: nowText(),
    ...values,
  });
  return id;
}

async function certify(
  authorities: Authorities,
  csr: string,
  name: string,
  addresses: readonly string[],
  after: number,
): Promise<IssuedCertificate> {
  for (const address of addresses) {
    if (!isIP(address)) throw badRequest(`'${address}' is not an IP address.`);
  }
  try {
    return await authorities.signing.issueFor(csr, name, addresses, after);
  } catch (error) {
    throw badRequest(`The signing request cannot be used: ${(error as Error).message}`);
  }
}

function checkHostName(name: string): void {
  if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i.test(name) || name.toLowerCase() === 'controller') {
    throw badRequest(
      `'${name}' cannot be a host's name: letters, digits, dots and hyphens, and not 'controller'.`,
    );
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function keyOf(csr: string): string {
  return createHash('sha256')
    .update(Buffer.from(new x509.Pkcs10CertificateRequest(csr).publicKey.rawData))
    .digest('hex');
}
