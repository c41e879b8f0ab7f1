import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { issueServer, type KeyPair, makeAuthority } from '../../scripts/install.d/certificates.js';
import { followCertificate, tlsOptions } from '../../src/api/tls.js';
import { send } from '../../src/cli/http.js';
import { createLogger } from '../../src/protocol/log.js';
import { until } from '../support/lab.js';

let directory: string;
let api: FastifyInstance | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-tls-'));
});
afterEach(async () => {
  await api?.close();
  rmSync(directory, { recursive: true });
});

function files({ certificate, key }: KeyPair) {
  const found = { tls_cert_file: join(directory, 'api.pem'), tls_key_file: join(directory, 'api.key') };
  writeFileSync(found.tls_key_file, key);
  writeFileSync(found.tls_cert_file, certificate);
  return found;
}

it('without files the API is plain HTTP', () => {
  expect(tlsOptions({ tls_cert_file: null, tls_key_file: null })).toEqual({});
});

it('a key of another certificate is refused, with the files', async () => {
  const authority = await makeAuthority('x');
  const [one, other] = [
    await issueServer(authority, ['127.0.0.1']),
    await issueServer(authority, ['127.0.0.1']),
  ];
  const mixed = files({ certificate: one.certificate, key: other.key });
  expect(() => tlsOptions(mixed)).toThrow(/certificate \S+api\.pem with key \S+api\.key: .*mismatch/i);
});

it('clients that trust its authority reach it, others do not; a renewed certificate is taken into use, a bad one is not', async () => {
  const [old, next] = [await makeAuthority('old'), await makeAuthority('new')];
  const given = files(await issueServer(old, ['127.0.0.1']));
  api = Fastify({ ...tlsOptions(given), forceCloseConnections: true }) as unknown as FastifyInstance;
  const errors: string[] = [];
  const log = { ...createLogger('error', {}), error: (message: string) => void errors.push(message) };
  followCertificate(api, given, log, 50);
  api.get('/', async () => ({ here: true }));
  await api.listen({ host: '127.0.0.1', port: 0 });
  const url = `https://127.0.0.1:${(api.server.address() as AddressInfo).port}/`;
  const ask = (ca?: string) => send(url, { method: 'GET', headers: {}, ...(ca ? { ca } : {}) });
  expect((await ask(old.certificate)).text).toBe('{"here":true}');
  await expect(ask()).rejects.toThrow(/certificate/);
  await expect(ask(next.certificate)).rejects.toThrow(/certificate/);
  writeFileSync(given.tls_cert_file, 'damaged');
  await until('the complaint', 20, async () =>
    errors.some((message) => /every 0.05 s, and on SIGHUP/.test(message)),
  );
  expect((await ask(old.certificate)).status).toBe(200);
  files(await issueServer(next, ['127.0.0.1']));
  await until('the renewed certificate', 20, () => ask(next.certificate));
});

it('a pair whose key comes late, or could not be read once, is taken into use; so is one when it is asked for', async () => {
  const [old, next, last] = [
    await makeAuthority('old'),
    await makeAuthority('new'),
    await makeAuthority('last'),
  ];
  const given = files(await issueServer(old, ['127.0.0.1']));
  const renewed = await issueServer(next, ['127.0.0.1']);
  const errors: string[] = [];
  const log = { ...createLogger('error', {}), error: (message: string) => void errors.push(message) };
  const serve = async (everyMs: number) => {
    api = Fastify({ ...tlsOptions(given), forceCloseConnections: true }) as unknown as FastifyInstance;
    const certificate = followCertificate(api, given, log, everyMs);
    api.get('/', async () => ({ here: true }));
    await api.listen({ host: '127.0.0.1', port: 0 });
    const url = `https://127.0.0.1:${(api.server.address() as AddressInfo).port}/`;
    return { certificate, ask: (ca: string) => send(url, { method: 'GET', headers: {}, ca }) };
  };
  const { ask } = await serve(50);
  rmSync(given.tls_key_file);
  writeFileSync(given.tls_cert_file, renewed.certificate);
  await until('the complaint', 20, async () => errors.length > 0);
  expect((await ask(old.certificate)).status).toBe(200);
  // the certificate's file does not change any more
  writeFileSync(given.tls_key_file, renewed.key);
  await until('the renewed certificate', 20, () => ask(next.certificate));
  expect(errors).toHaveLength(1);
  await api?.close();

  const asked = await serve(3_600_000);
  rmSync(given.tls_key_file);
  for (let times = 0; times < 2; times++) asked.certificate.readAgain();
  expect(errors).toHaveLength(3);
  files(await issueServer(last, ['127.0.0.1']));
  asked.certificate.readAgain();
  expect((await asked.ask(last.certificate)).status).toBe(200);
});
