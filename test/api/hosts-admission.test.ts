import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../agents/transport/identity.js';
import { Authorities } from '../../src/hosts/authorities.js';
import { CertificateAuthority } from '../../src/hosts/certificates.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import { PeerClient, type PeerCredentials, PeerUnreachable } from '../../src/protocol/peer-client.js';
import { addTombstone, listHosts } from '../../src/store/hosts.js';
import { findReports } from '../../src/store/reports.js';
import {
  MemoryPart,
  TestAgent,
  TestController,
  temporaryDirectory,
  until,
  writeImage,
} from '../support/hosts/harness.js';

const beat = {
  protocol: 1,
  boot_id: 'somebody-else',
  agent_url: 'https://127.0.0.1:9',
  incarnation: null,
  sequence: 0,
  digest: 'x',
  reports: [],
  orphans: [],
  usage: { memory_used_mb: 0, disk_used_gb: 0, running_guests: 0 },
};
/** Every route that agents ask, but joining. */
const ROUTES = [
  ['POST', '/agent/v1/heartbeat', beat],
  ['POST', '/agent/v1/reports', { protocol: 1, reports: [] }],
  ['POST', '/agent/v1/certificate', { csr: 'x', addresses: [] }],
  ['GET', '/agent/v1/images/secret', undefined],
] as const;
/** Every route that the controller asks of agents. */
const AGENT_ROUTES = [
  [
    'POST',
    '/v1/spec',
    {
      protocol: 1,
      incarnation: 'evil',
      sequence: 9_999_999,
      base: null,
      changed: {},
      removed: [],
      request_ids: [],
      confirmed: true,
    },
  ],
  ['GET', '/v1/plan', undefined],
  ['GET', '/v1/health', undefined],
  ['GET', '/v1/console/s1', undefined],
  ['POST', '/v1/orphans/remove', { kind: 'domain', name: 'x', destroy_data: true }],
  ['POST', '/v1/probe', {}],
] as const;

describe('who is let in', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;
  let agent: TestAgent;
  let identity: Identity;

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
    agent = await TestAgent.create('host1', cleanups);
    identity = await agent.join(await controller.token());
    await writeImage(controller.imageFile('secret'), '"bytes of an image"');
    controller.objects.setSilently(identity.host_id, 'server', 's1', {
      instance_name: 'one',
      disks: [{ image: { id: 'secret' } }],
      nics: [],
    });
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const credentialsOf = ({ ca, key, certificate }: Identity): PeerCredentials => ({
    ca,
    key,
    cert: certificate,
  });
  const statuses = async (
    client: PeerClient,
    routes: readonly (readonly [string, string, unknown])[] = ROUTES,
  ) => {
    const found: { status: number; message: string }[] = [];
    for (const [method, path, body] of routes) {
      const reply = await client.request<{ message: string }>(method as 'GET', path, body);
      found.push({ status: reply.status, message: reply.body?.message ?? '' });
    }
    return found;
  };
  /** What the database knows of each host, but for the numbers that the controller reserves by itself before it pushes to one that joined. */
  const known = async () => (await listHosts(controller.store.read)).map(({ sequence: _, ...host }) => host);
  /** What every route answers, and that nothing is changed by the asking. */
  const refused = async (credentials: PeerCredentials, status: number, message: RegExp) => {
    const rows = await known();
    const client = new PeerClient(controller.url, 'controller', credentials);
    const found = await statuses(client).finally(() => client.close());
    expect(found.map((one) => one.status)).toEqual(ROUTES.map(() => status));
    for (const one of found) expect(one.message).toMatch(message);
    expect(await known()).toEqual(rows);
    expect(controller.hosts.silence(identity.host_id)).toBeNull();
  };
  const forge = async (authority: CertificateAuthority, name = 'host1') => {
    const { key, pem } = await authority.issuePair(name, []);
    return { ca: identity.ca, key, cert: pem };
  };

  it('nobody without a certificate', async () => {
    await refused({ ca: identity.ca }, 401, /client certificate of this installation is required/);
  });

  it('nobody with a certificate of another authority, also with a host’s name', async () => {
    const foreign = await Authorities.open(await temporaryDirectory(cleanups));
    await refused(await forge(foreign.signing), 401, /no authority that this installation trusts/);
  });

  it('nobody who has a host’s certificate but not its key', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const client = new PeerClient(controller.url, 'controller', { ...credentialsOf(identity), key });
    await expect(client.request('GET', '/agent/v1/images/secret')).rejects.toThrow(/key values mismatch/);
    client.close();
  });

  it('nobody whose certificate has expired, also when it was never seen before', async () => {
    const { record } = (await Authorities.open(controller.directory)).signing;
    const past = await CertificateAuthority.from(record, { lifetimeMs: -1_000, skewMs: 3_600_000 });
    const { key, certificate } = identity;
    const csr = await signingRequestFor('host1', key);
    const issued = await past.issueFor(csr, 'host1', []);
    expect(new X509Certificate(issued.pem).publicKey.equals(new X509Certificate(certificate).publicKey)).toBe(
      true,
    );
    await refused(
      { ca: identity.ca, key, cert: issued.pem },
      401,
      /expired at .*maru host token --name host1/,
    );
  });

  it('nobody whose certificate was replaced by a new join', async () => {
    const again = await TestAgent.create('host1', cleanups);
    await again.join(await controller.token('host1'));
    await refused(credentialsOf(identity), 403, /was replaced.*maru host token --name host1/);
  });

  it('no unknown host: the controller’s own certificate, or that of a host which the database has forgotten', async () => {
    const own = await Authorities.open(controller.directory);
    await refused(await forge(own.signing, 'controller'), 403, /No host is named 'controller'/);
    await refused(await forge(own.signing, 'host9'), 403, /No host is named 'host9'.*maru host token/);
  });

  it('no removed host: not with a new connection, nor an open one, and it is told so', async () => {
    const open = new PeerClient(controller.url, 'controller', credentialsOf(identity));
    expect((await open.request('GET', '/agent/v1/images/secret')).status).toBe(200);
    await controller.removeHost(identity.host_id);
    const { status, body } = await open.request('GET', '/agent/v1/images/secret');
    open.close();
    expect({ status, body }).toMatchObject({ status: 410, body: { removed: true } });
    await refused(credentialsOf(identity), 410, /'host1' was removed from this cloud at/);
  });

  it('tells a removed machine so although another one has its name now', async () => {
    await controller.removeHost(identity.host_id);
    const other = await TestAgent.create('host1', cleanups);
    const joined = await other.join(await controller.token());
    await refused(credentialsOf(identity), 410, /was removed/);
    const client = new PeerClient(controller.url, 'controller', credentialsOf(joined));
    expect((await client.request('GET', '/agent/v1/images/none')).status).toBe(404);
    client.close();
  });

  it('a host only as itself: whatever it says, it speaks about its own row and gets its own images', async () => {
    const other = await (await TestAgent.create('host2', cleanups)).join(await controller.token());
    const rowOf = async (name: string) => (await known()).find((host) => host.name === name);
    const before = await rowOf('host1');
    const client = new PeerClient(controller.url, 'controller', credentialsOf(other));
    const found = await statuses(client, [
      ['POST', '/agent/v1/heartbeat', { ...beat, name: 'host1', host_id: identity.host_id }],
      ['GET', '/agent/v1/images/secret', undefined],
    ]);
    client.close();
    expect(found.map((one) => one.status)).toEqual([200, 404]);
    expect(before).toBeDefined();
    expect(await rowOf('host1')).toEqual(before);
    expect((await rowOf('host2'))?.boot_id).toBe('somebody-else');
    const own = new PeerClient(controller.url, 'controller', credentialsOf(identity));
    expect((await own.request('GET', '/agent/v1/images/none')).status).toBe(404);
    own.close();
  });

  it('no host into another host’s agent, whatever it asks', async () => {
    const compute = new MemoryPart('compute', ['server']);
    await agent.start({ compute });
    await until('applied', () => compute.present.size === 1);
    // but for the number under which the controller may send the same again
    const held = async () => {
      const text = await readFile(`${agent.config.state_dir}/spec.json`, 'utf8');
      const { sequence: _, ...spec } = JSON.parse(text);
      return spec;
    };
    const spec = await held();
    const other = await (await TestAgent.create('host2', cleanups)).join(await controller.token());
    const url = `https://127.0.0.1:${agent.port}`;
    const neighbour = new PeerClient(url, 'host1', credentialsOf(other));
    const itself = new PeerClient(url, 'host1', credentialsOf(identity));
    for (const client of [neighbour, itself]) {
      const found = await statuses(client, AGENT_ROUTES);
      client.close();
      expect(found.map((one) => one.status)).toEqual(AGENT_ROUTES.map(() => 403));
      for (const one of found) expect(one.message).toMatch(/only the controller may ask/);
    }
    const foreign = await Authorities.open(await temporaryDirectory(cleanups));
    for (const credentials of [{ ca: identity.ca }, await forge(foreign.signing, 'controller')]) {
      const stranger = new PeerClient(url, 'host1', credentials);
      for (const [method, path, body] of AGENT_ROUTES)
        await expect(stranger.request(method, path, body)).rejects.toThrow(PeerUnreachable);
      stranger.close();
    }
    expect(await held()).toEqual(spec);
    expect(compute.present.has('server/s1')).toBe(true);
  });

  it('no report about what is another host’s: it is stored nowhere, and nobody hears of it', async () => {
    const heard: string[] = [];
    controller.hosts.onReport(async (_tx, _host, news) => void heard.push(...news.map(({ key }) => key)));
    controller.hosts.onGone(async (_tx, host, key) => void heard.push(`gone ${host} ${key}`));
    const other = await (await TestAgent.create('host2', cleanups)).join(await controller.token());
    controller.objects.setSilently(other.host_id, 'port', 'mine', {});
    await controller.store.tx((tx) =>
      addTombstone(tx, identity.host_id, 'volume', 'v1', { id: 'v1' } as never, null),
    );
    const lies: ObjectReport[] = [
      {
        key: 'server/s1',
        revision: 'r',
        state: 'applied',
        observed: { power_state: 'crashed', launched_at: null },
      },
      { key: 'server/nowhere', revision: 'r', state: 'error', error: { message: 'x' } },
      { key: 'dhcp/n1', revision: 'r', state: 'error', error: { message: 'x' } },
      { key: 'router/r1', revision: 'r', state: 'applied' },
      { key: 'volume/v1', revision: null, state: 'gone' },
      { key: 'port/mine', revision: 'r', state: 'applied' },
    ];
    const client = new PeerClient(controller.url, 'controller', credentialsOf(other));
    const reply = await client.request('POST', '/agent/v1/reports', { protocol: 1, reports: lies });
    const again = await client.request('POST', '/agent/v1/heartbeat', { ...beat, reports: lies });
    client.close();
    expect([reply.status, again.status]).toEqual([200, 200]);
    expect(heard).toEqual(['port/mine']);
    const stored = await findReports(
      controller.store.read,
      other.host_id,
      lies.map(({ key }) => key),
    );
    expect(stored.map(({ key }) => key)).toEqual(['port/mine']);
    expect(await controller.store.read.selectFrom('tombstone').selectAll().execute()).toHaveLength(1);
  });
});

async function signingRequestFor(name: string, key: string): Promise<string> {
  const x509 = await import('@peculiar/x509');
  const { createPrivateKey, createPublicKey, webcrypto } = await import('node:crypto');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys: {
      privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
      publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
    },
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  });
  return csr.toString('pem');
}
