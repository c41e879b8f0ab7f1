import { X509Certificate } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { parseSecretJson } from '../../../src/protocol/secret-text.js';
import type { CertificateFacts, ControllerFacts, Settings } from '../facts.js';
import { type Look, within } from '../look.js';
import { ownTlsDirectory } from './own-tls.js';

const CONTACT_MS = 4_000;

interface KnownIdentity {
  readonly controller: string;
  readonly certificate: string;
  readonly ca: string;
}

/** What the host is known by: from its state directory; null before it has joined. */
export async function readIdentity(look: Look, stateDir: string): Promise<KnownIdentity | null> {
  const text = await look.file(`${stateDir}/identity.json`);
  return text === null ? null : parseSecretJson<KnownIdentity>(text);
}

/** What a contact with the controller shows: whether it answers, its clock, its certificates. */
export interface Contact {
  readonly facts: ControllerFacts;
  /** The chain that it presented, PEM; empty: none was seen. */
  readonly chain: readonly string[];
}

/** Asks the controller's agent listener for nothing in particular: any answer has the time on it. */
export async function contactController(look: Look, url: string): Promise<Contact> {
  const { hostname } = new URL(url);
  const bare = hostname.replace(/^\[|\]$/g, '');
  const resolves = /^[\d.]+$|:/.test(bare) || (await resolvable(look, bare));
  const unreached = (problem: string): Contact => ({
    facts: { url, hostname: bare, resolves, reached: false, problem, ahead: null },
    chain: [],
  });
  if (!resolves) return unreached(`the name ${bare} is not known here`);
  try {
    const { date, chain, sent } = await within(head(url), CONTACT_MS, url);
    const now = look.host.now().getTime();
    // the header has whole seconds: half of one, and half of the way, are taken as passed
    const theirs = date === null ? null : Date.parse(date) + 500;
    const ahead = theirs === null ? null : Math.round(((now + sent) / 2 - theirs) / 1000);
    return { facts: { url, hostname: bare, resolves, reached: true, problem: null, ahead }, chain };
  } catch (error) {
    return unreached((error as Error).message);
  }
}

async function resolvable(look: Look, name: string): Promise<boolean> {
  return (await look.command('getent', ['ahosts', name])).exitCode === 0;
}

/** A reply of whatever status; the certificate is looked at, not believed. */
function head(url: string): Promise<{ date: string | null; chain: string[]; sent: number }> {
  return new Promise((resolve, reject) => {
    const chain: string[] = [];
    const sent = Date.now();
    const request = url.startsWith('https:')
      ? httpsRequest(`${url}/`, { method: 'GET', rejectUnauthorized: false, agent: false })
      : httpRequest(`${url}/`, { method: 'GET', agent: false });
    request.setTimeout(CONTACT_MS, () =>
      request.destroy(new Error(`no answer within ${CONTACT_MS / 1000} s`)),
    );
    request.on('socket', (socket) => {
      socket.on('secureConnect', () => chain.push(...chainOf(socket as TLSSocket)));
    });
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      resolve({ date: response.headers.date ?? null, chain, sent });
      response.on('end', () => request.destroy());
    });
    request.end();
  });
}

function chainOf(socket: TLSSocket): string[] {
  const chain: string[] = [];
  let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  for (let depth = 0; one?.raw && depth < 5; depth++) {
    chain.push(new X509Certificate(one.raw).toString());
    if (one.issuerCertificate === one) break;
    one = one.issuerCertificate;
  }
  return chain;
}

/** Certificates of this machine: the agent's, and the controller's authorities. */
export async function readCertificates(
  look: Look,
  settings: Settings,
  contact: Contact | null,
): Promise<CertificateFacts[]> {
  const found: CertificateFacts[] = [];
  if (settings.host) {
    const path = `${settings.host.state_dir}/identity.json`;
    const identity = await readIdentity(look, settings.host.state_dir);
    if (identity) {
      const own = new X509Certificate(identity.certificate);
      const authorities = certificatesIn(identity.ca);
      const issued = (one: X509Certificate) => authorities.some((each) => one.verify(each.publicKey));
      const theirs = (contact?.chain ?? []).map((pem) => new X509Certificate(pem));
      found.push({
        what: 'agent',
        path,
        ...lifeOf(own),
        trusted: issued(own),
        trustsController: theirs.length === 0 ? null : theirs.some(issued),
      });
    }
  }
  if (settings.controller) {
    const { state_dir } = settings.controller;
    const newest = (await look.list(state_dir))
      .flatMap((name) => /^ca-(\d+)\.json$/.exec(name)?.[1] ?? [])
      .sort((a, b) => Number(b) - Number(a))[0];
    const path = `${state_dir}/ca-${newest}.json`;
    const text = newest === undefined ? null : await look.file(path);
    const record = parseSecretJson<{ authorities: Record<string, { certificate: string }> }>(
      text ?? '{"authorities":{}}',
    );
    for (const { certificate } of Object.values(record.authorities)) {
      const life = lifeOf(new X509Certificate(certificate));
      found.push({ what: 'authority', path, ...life, trusted: true, trustsController: null });
    }
    found.push(...(await readPublicCertificate(look, settings.controller.tls_cert_file)));
  }
  return found;
}

/** The public API's, and the authority beside it where the controller renews it by itself. */
async function readPublicCertificate(look: Look, file: string | null): Promise<CertificateFacts[]> {
  const first = file === null ? undefined : certificatesIn((await look.file(file)) ?? '')[0];
  if (file === null || first === undefined) return [];
  const rest = { trusted: true, trustsController: null };
  const own = await ownTlsDirectory(look, file);
  const authority = own === null ? undefined : certificatesIn((await look.file(`${own}/ca.pem`)) ?? '')[0];
  return [
    { what: own === null ? 'api-given' : 'api-own', path: file, ...lifeOf(first), ...rest },
    ...(authority
      ? [{ what: 'api-authority' as const, path: `${own}/ca.pem`, ...lifeOf(authority), ...rest }]
      : []),
  ];
}

function lifeOf(certificate: X509Certificate): { readonly from: string; readonly to: string } {
  return {
    from: new Date(certificate.validFrom).toISOString(),
    to: new Date(certificate.validTo).toISOString(),
  };
}

function certificatesIn(pem: string): X509Certificate[] {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return texts.map((text) => new X509Certificate(text));
}
