import { X509Certificate } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OwnCertificate } from '../../src/api/own-certificate.js';
import { issueServer, type KeyPair, makeAuthority, problemOf } from '../../src/api/server-certificate.js';
import { followCertificate, tlsOptions } from '../../src/api/tls.js';
import { send } from '../../src/cli/http.js';
import { createLogger } from '../../src/protocol/log.js';
import { foreignAuthority } from '../support/foreign-authority.js';
import { until } from '../support/lab.js';

let directory: string;
let api: FastifyInstance | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-tls-'));
});
afterEach(async () => {
  vi.useRealTimers();
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

describe('a certificate of an authority of this installation', () => {
  const quiet = { ...createLogger('error', {}), info: () => {} };
  const put = (name: string, text: string, mode = 0o644) =>
    writeFileSync(join(directory, name), text, { mode });

  /** The authority beside a certificate that lasts so long. */
  async function installed(lifetimeMs: number, authority?: KeyPair) {
    const made = authority ?? (await makeAuthority('cloud'));
    put('ca.pem', made.certificate);
    put('ca.key', made.key, 0o600);
    return {
      ...made,
      given: files(await issueServer(made, ['127.0.0.1', 'cloud.test', '2001:db8::1'], { lifetimeMs })),
    };
  }
  const endOf = () => Date.parse(new X509Certificate(readFileSync(join(directory, 'api.pem'))).validTo);

  it('is renewed in time, again and again, without a connection being dropped', async () => {
    const { given, certificate: ca } = await installed(600_000);
    api = Fastify({ ...tlsOptions(given), keepAliveTimeout: 60_000 }) as unknown as FastifyInstance;
    api.get('/', async () => ({ here: true }));
    const inUse = followCertificate(api, given, quiet, 3_600_000);
    const own = await OwnCertificate.of(given, [], quiet, { lifetimeMs: 900_000, everyMs: 20 });
    const looks = vi.spyOn(own!, 'renewIfDue');
    own!.follow(api, inUse);
    await api.listen({ host: '127.0.0.1', port: 0 });
    const { port } = api.server.address() as AddressInfo;
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
    const ask = (through: Agent) =>
      new Promise<{ serial: string; from: number }>((resolve, reject) => {
        const request = get(`https://127.0.0.1:${port}/`, { agent: through }, (response) => {
          const socket = response.socket as TLSSocket;
          const answer = { serial: socket.getPeerCertificate().serialNumber, from: socket.localPort! };
          response.resume().on('end', () => resolve(answer));
        });
        request.on('error', reject);
      });
    const before = await ask(agent);
    const shown = async () => (await ask(new Agent({ ca }))).serial;
    for (let times = 0; times < 3; times++) {
      const old = await shown();
      // another one is in use while this one still holds
      vi.useFakeTimers({ toFake: ['Date'], now: endOf() - 60_000 });
      await vi.waitUntil(async () => (await shown()) !== old, { timeout: 30_000 });
      expect(await ask(agent)).toEqual(before);
    }
    agent.destroy();
    await api.close();
    await Promise.all(looks.mock.results.map(({ value }) => value));
    expect(readdirSync(directory).sort()).toEqual(['api.key', 'api.pem', 'ca.key', 'ca.pem']);
  });

  it('keeps its names and its key; one that lasts stays', async () => {
    const { given } = await installed(20 * 86_400_000);
    const key = readFileSync(given.tls_key_file, 'utf8');
    const own = await OwnCertificate.of(given, [], quiet);
    expect(await own!.renewIfDue()).toBe(true);
    expect(endOf()).toBeGreaterThan(Date.now() + 800 * 86_400_000);
    const pair = { certificate: readFileSync(given.tls_cert_file, 'utf8'), key };
    expect(problemOf(pair, ['127.0.0.1', 'cloud.test', '2001:db8::1'], 800)).toBeNull();
    expect(await own!.renewIfDue()).toBe(false);
  });

  it('a pair that does not fit, or a lost key, is mended before the API starts; the new key is its owner’s alone', async () => {
    const { given } = await installed(86_400_000_000);
    put('api.key', (await makeAuthority('other')).key);
    const own = await OwnCertificate.of(given, ['cloud.test'], quiet);
    expect(await own!.renewIfDue()).toBe(true);
    tlsOptions(given);
    rmSync(given.tls_key_file);
    put('api.pem', 'damaged');
    expect(await own!.renewIfDue()).toBe(true);
    tlsOptions(given);
    expect(statSync(given.tls_key_file).mode & 0o777).toBe(0o600);
    expect(new X509Certificate(readFileSync(given.tls_cert_file)).checkHost('cloud.test')).toBe('cloud.test');
  });

  it('an authority that ends soon makes nothing that outlives it, and does not make it over and over', async () => {
    const { given } = await installed(86_400_000, await makeAuthority('old', 10 * 86_400_000));
    const own = await OwnCertificate.of(given, [], quiet);
    expect(await own!.renewIfDue()).toBe(true);
    expect(endOf()).toBeLessThan(Date.now() + 11 * 86_400_000);
    expect(await own!.renewIfDue()).toBe(false);
  });

  it('what cannot be written is said, with what to do, and the API goes on', async () => {
    const { given } = await installed(86_400_000);
    const errors: string[] = [];
    const log = { ...quiet, error: (message: string) => void errors.push(message) };
    put('ca.key', (await makeAuthority('other')).key, 0o600);
    const own = await OwnCertificate.of(given, [], log);
    expect(await own!.renewIfDue()).toBe(false);
    expect(errors[0]).toMatch(/cannot be renewed; it is tried again every 60 min.*maru install controller/);
  });

  it('is readable to all, as it was, whatever the umask of the unit', async () => {
    const { given } = await installed(86_400_000);
    const own = await OwnCertificate.of(given, [], quiet);
    const before = process.umask(0o077);
    try {
      expect(await own!.renewIfDue()).toBe(true);
    } finally {
      process.umask(before);
    }
    expect(statSync(given.tls_cert_file).mode & 0o777).toBe(0o644);
  });

  it('a given one is its owner’s to renew, although he has an authority of his own beside it', async () => {
    const { given } = await installed(86_400_000, await foreignAuthority());
    renameSync(given.tls_cert_file, join(directory, 'fullchain1.pem'));
    symlinkSync('fullchain1.pem', given.tls_cert_file);
    const before = readFileSync(given.tls_cert_file, 'utf8');
    const own = await OwnCertificate.of(given, ['127.0.0.1'], quiet);
    expect(await own?.renewIfDue()).not.toBe(true);
    expect(lstatSync(given.tls_cert_file).isSymbolicLink()).toBe(true);
    expect(readFileSync(given.tls_cert_file, 'utf8')).toBe(before);
    expect(own).toBeNull();
    // nor is anything made by an authority of his, where there is none
    rmSync(given.tls_cert_file);
    expect(await OwnCertificate.of(given, ['127.0.0.1'], quiet)).toBeNull();
  });

  it('so is one beside what is left of our authority, and one that takes the place of ours as the API runs', async () => {
    const { given } = await installed(86_400_000);
    const own = await OwnCertificate.of(given, [], quiet);
    const theirs = await issueServer(await foreignAuthority(), ['127.0.0.1'], { lifetimeMs: 86_400_000 });
    files(theirs);
    expect(await own!.renewIfDue()).toBe(false);
    expect(readFileSync(given.tls_cert_file, 'utf8')).toBe(theirs.certificate);
    expect(await OwnCertificate.of(given, [], quiet)).toBeNull();
    // an authority of ours again, but another one
    files(await issueServer(await makeAuthority('cloud'), ['127.0.0.1'], { lifetimeMs: 86_400_000 }));
    expect(await OwnCertificate.of(given, [], quiet)).toBeNull();
  });

  it('an authority that cannot be read does nothing, and nothing is said before it is needed', async () => {
    const { given } = await installed(86_400_000_000);
    const errors: string[] = [];
    const log = { ...quiet, error: (message: string) => void errors.push(message) };
    rmSync(join(directory, 'ca.key'));
    mkdirSync(join(directory, 'ca.key'));
    const own = await OwnCertificate.of(given, [], log);
    expect(await own!.renewIfDue()).toBe(false);
    expect(errors).toEqual([]);
    rmSync(join(directory, 'ca.pem'));
    expect(await OwnCertificate.of(given, [], log)).toBeNull();
  });

  it('one without its authority beside it is its owner’s to renew', async () => {
    const given = files(await issueServer(await makeAuthority('x'), ['127.0.0.1'], { lifetimeMs: 1_000 }));
    expect(await OwnCertificate.of(given, [], quiet)).toBeNull();
    expect(await OwnCertificate.of({ tls_cert_file: null, tls_key_file: null }, [], quiet)).toBeNull();
  });
});
