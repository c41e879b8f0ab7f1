import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { decodeJoinToken } from '../../src/protocol/join-token.js';
import {
  type CertificateReply,
  type CertificateRequest,
  type JoinRequest,
  PROTOCOL_VERSION,
} from '../../src/protocol/messages.js';
import { PeerClient, type PeerReply, PeerUnreachable } from '../../src/protocol/peer-client.js';
import { parseSecretJson } from '../../src/protocol/secret-text.js';
import { keyPairOf, newSigningKey, SIGNING_ALGORITHM } from '../../src/protocol/signing-keys.js';
import { removedMarker } from '../removed.js';
import { type StateFiles, specFile } from '../spec-store.js';

/** Who this host is: kept in the state directory (0600), made once by joining. */
export interface Identity {
  readonly host_id: string;
  readonly name: string;
  readonly controller: string;
  readonly key: string;
  readonly certificate: string;
  readonly ca: string;
  /** SHA-256 of the token it was made with: starting again with the same token is no new join. */
  readonly token_sha256: string;
}

/** What the agent says about itself when it asks for a certificate. */
export interface IdentityRequest {
  readonly name: string;
  /** URL of the controller; empty: the token names it. */
  readonly controller: string;
  readonly agentUrl: string;
  readonly addresses: readonly string[];
  readonly underlayIp: string;
}

const DEFAULT_CONTROLLER = 'https://localhost:5443';

/** The identity from an earlier join, or null. A configured controller URL overrides the one of the token. */
export async function loadIdentity(
  files: StateFiles,
  stateDir: string,
  controller: string,
): Promise<Identity | null> {
  const text = await files.readFileIfExists(identityPath(stateDir));
  if (text === null) return null;
  const identity = identityOf(text, identityPath(stateDir));
  return controller ? { ...identity, controller } : identity;
}

function identityOf(text: string, path: string): Identity {
  try {
    // with the host's key
    return parseSecretJson<Identity>(text);
  } catch (error) {
    throw new Error(
      `${path}: ${(error as Error).message}; restore it from a backup, or let the host join again`,
    );
  }
}

/** True when the identity came from this token. */
export function isFromToken(identity: Identity, tokenText: string): boolean {
  return identity.token_sha256 === tokenHash(tokenText);
}

/**
 * Joins with a one-time token: recognises the controller by the fingerprint in the token, makes a key, has it certified.
 * The key is kept before the request is sent, so a join whose answer was lost can be repeated with the same token.
 */
export async function join(
  files: StateFiles,
  stateDir: string,
  tokenText: string,
  request: IdentityRequest,
): Promise<Identity> {
  const token = decodeJoinToken(tokenText);
  const controller = request.controller || token.url || DEFAULT_CONTROLLER;
  const known = [token.ca_sha256, ...(token.next_ca_sha256 ? [token.next_ca_sha256] : [])];
  const ca = await fetchAuthority(controller, known);
  const keyPath = `${stateDir}/join-key.pem`;
  const key = (await files.readFileIfExists(keyPath)) ?? newSigningKey();
  await files.makeDirectory(stateDir, 0o700);
  await files.writeFile(keyPath, key, 0o600);
  const client = new PeerClient(controller, 'controller', { ca });
  const body: JoinRequest = {
    protocol: PROTOCOL_VERSION,
    secret: token.secret,
    name: request.name,
    csr: await signingRequest(request.name, key),
    addresses: request.addresses,
    agent_url: request.agentUrl,
    underlay_ip: request.underlayIp,
  };
  const reply = await client
    .request<CertificateReply>('POST', '/agent/v1/join', body)
    .finally(() => client.close());
  const certified = accepted(reply, request.name, controller);
  const identity: Identity = {
    ...certified,
    name: request.name,
    controller,
    key,
    token_sha256: tokenHash(tokenText),
  };
  requireUsable(identity, controller);
  await forgetOtherCloud(files, stateDir, identity);
  await files.writeFile(identityPath(stateDir), JSON.stringify(identity, null, 1), 0o600);
  await files.removeFile(keyPath);
  return identity;
}

/** Renews the certificate under the one in use; the new identity is kept before it is returned. */
export async function renew(
  files: StateFiles,
  stateDir: string,
  identity: Identity,
  client: PeerClient,
  addresses: readonly string[],
): Promise<Identity> {
  const key = newSigningKey();
  const body: CertificateRequest = { csr: await signingRequest(identity.name, key), addresses };
  const reply = await client.request<CertificateReply>('POST', '/agent/v1/certificate', body);
  const renewed: Identity = { ...identity, ...accepted(reply, identity.name, identity.controller), key };
  requireUsable(renewed, identity.controller);
  await files.writeFile(identityPath(stateDir), JSON.stringify(renewed, null, 1), 0o600);
  return renewed;
}

/** A certificate for another key, or of an authority that is not in the reply, would cut this host off. */
function requireUsable({ certificate, key, ca }: Identity, controller: string): void {
  const own = new X509Certificate(certificate);
  if (!own.checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`the controller at ${controller} certified another key than it was sent`);
  }
  if (!certificatesIn(ca).some((authority) => own.verify(authority.publicKey))) {
    throw new Error(
      `the controller at ${controller} sent a certificate of an authority that it did not send`,
    );
  }
}

/** As a host that another cloud, or the same one before, knew under another id, this one starts with nothing. */
async function forgetOtherCloud(files: StateFiles, stateDir: string, identity: Identity): Promise<void> {
  // whoever lets it in anew wants it to run guests again
  await files.removeFile(removedMarker(stateDir));
  const before = await loadIdentity(files, stateDir, '');
  if (before?.host_id === identity.host_id) return;
  await files.removeFile(specFile(stateDir));
}

/** SHA-256 fingerprints of the authorities that an identity trusts, sorted. */
export function trustedAuthorities(identity: Pick<Identity, 'ca'>): readonly string[] {
  return certificatesIn(identity.ca)
    .map(({ raw }) => createHash('sha256').update(raw).digest('hex'))
    .sort();
}

function certificatesIn(pem: string): X509Certificate[] {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return texts.map((text) => new X509Certificate(text));
}

function accepted(reply: PeerReply<CertificateReply>, name: string, controller: string): CertificateReply {
  if (reply.status === 200) return reply.body;
  const reason = (reply.body as unknown as { message?: string } | null)?.message ?? 'no reason given';
  throw new Error(`the controller at ${controller} does not let '${name}' in (${reply.status}): ${reason}`);
}

function tokenHash(tokenText: string): string {
  return createHash('sha256').update(tokenText.trim()).digest('hex');
}

function identityPath(stateDir: string): string {
  return `${stateDir}/identity.json`;
}

/** The authority's certificate as the controller presents it, if its fingerprint is an expected one. */
async function fetchAuthority(controller: string, fingerprints: readonly string[]): Promise<string> {
  const url = new URL(controller);
  const port = Number(url.port || 443);
  // a URL has IPv6 addresses in brackets, a socket takes them without
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const chain = await new Promise<DetailedPeerCertificate>((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: 10_000 }, () => {
      resolve(socket.getPeerCertificate(true));
      socket.end();
    });
    socket.on('timeout', () => socket.destroy(new Error('no answer within 10 s')));
    socket.on('error', (error) =>
      reject(new PeerUnreachable(`cannot reach the controller at ${controller}: ${error.message}`, error)),
    );
  });
  for (let one = chain, depth = 0; one?.raw && depth < 5; one = one.issuerCertificate, depth++) {
    if (fingerprints.includes(createHash('sha256').update(one.raw).digest('hex')))
      return new X509Certificate(one.raw).toString();
    if (one.issuerCertificate === one) break;
  }
  throw new Error(
    `${controller} is not the controller that made this token, or its certificate authority was replaced since: no certificate with the token's fingerprint in its chain; make a new token`,
  );
}

/** Loaded only when a certificate is needed: the library takes memory that an agent rarely uses. */
async function signingRequest(name: string, keyPem: string): Promise<string> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys: await keyPairOf(keyPem),
    signingAlgorithm: SIGNING_ALGORITHM,
  });
  return csr.toString('pem');
}
