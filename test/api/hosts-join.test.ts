import { statSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RealHost } from '../../agents/host/real.js';
import { loadIdentity, renew } from '../../agents/transport/identity.js';
import { isRenewalDue } from '../../agents/transport/renewal.js';
import { Authorities } from '../../src/hosts/authorities.js';
import { decodeJoinToken, encodeJoinToken } from '../../src/protocol/join-token.js';
import type { HostFacts } from '../../src/protocol/messages.js';
import { PeerClient } from '../../src/protocol/peer-client.js';
import { findHostByName } from '../../src/store/hosts.js';
import { hostOffers } from '../../src/store/network/router-place.js';
import { TestAgent, TestController, temporaryDirectory, until } from '../support/hosts/harness.js';

describe('joining', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  /** A host is up from its first heartbeat on, and can be asked once what that says is stored. */
  const isReachable = ({ store }: TestController, { config, port }: TestAgent) =>
    until(`${config.name} can be reached`, async () => {
      const row = await findHostByName(store.read, config.name);
      return row?.agent_url.endsWith(`:${port}`) ?? false;
    });

  it('gives a certificate for a one-time token and registers the host', async () => {
    const agent = await TestAgent.create('host1', cleanups);
    const identity = await agent.join(await controller.token());
    const host = await findHostByName(controller.store.read, 'host1');
    expect(host?.id).toBe(identity.host_id);
    expect(identity.certificate).toContain('BEGIN CERTIFICATE');
    expect(statSync(`${agent.config.state_dir}/identity.json`).mode & 0o777).toBe(0o600);
    expect(statSync(`${controller.directory}/ca-1.json`).mode & 0o777).toBe(0o600);
    await agent.start();
    await isReachable(controller, agent);
    expect(controller.hosts.isUp(identity.host_id)).toBe(true);
    const after = await findHostByName(controller.store.read, 'host1');
    expect(after?.agent_url).toBe(`https://127.0.0.1:${agent.port}`);
    expect(JSON.parse(after?.facts ?? '{}')).toMatchObject({ hostname: 'host1', vcpus: 2 });
  });

  it('works over IPv6 alone: URLs, listeners, certificates, and specifications both ways', async () => {
    const six = await TestController.start(cleanups, undefined, '[::1]');
    await six.listen();
    const agent = await TestAgent.create('six', cleanups, { listen: '[::1]:0', underlay_ip: '::1' });
    const { host_id } = await agent.join(await six.token());
    await agent.start();
    await isReachable(six, agent);
    // the agent's own listener, as it told of it, is reached with its certificate
    const host = await findHostByName(six.store.read, 'six');
    expect(host?.agent_url).toBe(`https://[::1]:${agent.port}`);
    expect((await six.hosts.consoleOutput(host_id, 'guest', 3)) as unknown).toContain('console of guest');
    // and it is known again where the token's URL is not used any more
    await agent.stop();
    await agent.start();
    await isReachable(six, agent);
  });

  it('keeps the provider networks of a host whose agent has just started and does not know yet', async () => {
    const agent = await TestAgent.create('host1', cleanups);
    const { host_id } = await agent.join(await controller.token());
    const network = { name: 'extnet', bridge: 'br-ex', addresses: [], gateways: [], neighbours: [] };
    const told = async (kernel: string, facts: Partial<HostFacts>) => {
      await agent.stop();
      agent.facts = { kernel, ...facts };
      await agent.start();
      const stored = async () =>
        JSON.parse((await findHostByName(controller.store.read, 'host1'))?.facts ?? '{}') as HostFacts;
      await until('the facts', async () => (await stored()).kernel === kernel);
      const offered = await hostOffers(controller.store.read, host_id, 'extnet');
      return [offered, (await stored()).physical_networks];
    };
    const missing = { ...network, present: false };
    const notYet = { physical_networks: [], provider_networks: [{ ...missing, unknown: true }] } as const;
    expect(await told('1', notYet)).toEqual([false, []]);
    const there = { physical_networks: ['extnet'], provider_networks: [{ ...network, present: true }] };
    expect(await told('2', there)).toEqual([true, ['extnet']]);
    expect(await told('3', notYet)).toEqual([true, ['extnet']]);
    expect(await told('4', { physical_networks: [], provider_networks: [missing] })).toEqual([false, []]);
  });

  it('lets each token be used once', async () => {
    const token = await controller.token();
    await (await TestAgent.create('host1', cleanups)).join(token);
    const second = await TestAgent.create('host2', cleanups);
    await expect(second.join(token)).rejects.toThrow(/403.*unknown, used or expired/);
    expect(await findHostByName(controller.store.read, 'host2')).toBeUndefined();
  });

  it('refuses expired and invented tokens', async () => {
    const agent = await TestAgent.create('host1', cleanups);
    await expect(agent.join(await controller.token(null, -1))).rejects.toThrow(/403/);
    const invented = { ...decodeJoinToken(await controller.token()), secret: 'x'.repeat(43) };
    await expect(agent.join(encodeJoinToken(invented))).rejects.toThrow(/403/);
    await expect(agent.join('maru1.garbage')).rejects.toThrow(/damaged join token/);
  });

  it('does not send the token to a controller whose authority is another', async () => {
    const other = await Authorities.open(await temporaryDirectory(cleanups));
    const token = { ...decodeJoinToken(await controller.token()), ca_sha256: other.signing.fingerprint };
    const agent = await TestAgent.create('host1', cleanups);
    await expect(agent.join(encodeJoinToken(token))).rejects.toThrow(
      /not the controller that made this token/,
    );
    expect(controller.lines.join()).not.toContain('join');
  });

  it('lets a known name join again only with a token for that name, and the old certificate ends', async () => {
    const first = await TestAgent.create('host1', cleanups);
    const old = await first.join(await controller.token());
    const again = await TestAgent.create('host1', cleanups);
    await expect(again.join(await controller.token())).rejects.toThrow(/409.*known already/);
    await expect(again.join(await controller.token('host2'))).rejects.toThrow(/403.*named 'host2'/);
    const renewed = await again.join(await controller.token('host1'));
    expect(renewed.host_id).toBe(old.host_id);
    const client = new PeerClient(controller.url, 'controller', {
      ca: old.ca,
      key: old.key,
      cert: old.certificate,
    });
    const { status, body } = await client.request('GET', '/agent/v1/images/x');
    client.close();
    expect({ status, body }).toMatchObject({
      status: 403,
      body: { message: expect.stringContaining('was replaced') },
    });
  });

  it('lets a removed host join under its name with any token', async () => {
    const first = await TestAgent.create('host1', cleanups);
    const { host_id } = await first.join(await controller.token());
    await controller.removeHost(host_id);
    const again = await TestAgent.create('host1', cleanups);
    expect((await again.join(await controller.token())).host_id).not.toBe(host_id);
  });

  it('refuses names that are none, and the controller’s', async () => {
    for (const name of ['controller', 'a b', '../x', '']) {
      const agent = await TestAgent.create(name, cleanups);
      await expect(agent.join(await controller.token())).rejects.toThrow(/400/);
    }
  });

  it('answers nobody without a certificate of this installation', async () => {
    const foreign = await Authorities.open(await temporaryDirectory(cleanups));
    const { key, pem } = await foreign.presenting.issuePair('host1', []);
    const own = await Authorities.open(controller.directory);
    await (await TestAgent.create('host1', cleanups)).join(await controller.token());
    for (const credentials of [{ ca: own.bundle }, { ca: own.bundle, key, cert: pem }]) {
      const client = new PeerClient(controller.url, 'controller', credentials);
      const { status } = await client.request('POST', '/agent/v1/reports', { protocol: 1, reports: [] });
      client.close();
      expect(status).toBe(401);
    }
  });

  it('lets only the controller ask an agent', async () => {
    const agent = await TestAgent.create('host1', cleanups);
    const identity = await agent.join(await controller.token());
    await agent.start();
    await isReachable(controller, agent);
    const url = `https://127.0.0.1:${agent.port}`;
    const other = await (await TestAgent.create('host2', cleanups)).join(await controller.token());
    const neighbour = new PeerClient(url, 'host1', { ca: other.ca, key: other.key, cert: other.certificate });
    expect((await neighbour.request('GET', '/v1/plan')).status).toBe(403);
    neighbour.close();
    const nobody = new PeerClient(url, 'host1', { ca: identity.ca });
    await expect(nobody.request('GET', '/v1/plan')).rejects.toThrow();
    nobody.close();
    expect((await controller.hosts.plan(identity.host_id)).steps).toEqual([]);
    expect(await controller.hosts.consoleOutput(identity.host_id, 'abc', 7)).toBe(
      'console of abc, 7 lines\n',
    );
  });

  it('renews a certificate; the old one ends when the new one is used', async () => {
    const agent = await TestAgent.create('host1', cleanups);
    const old = await agent.join(await controller.token());
    const clientOf = ({ ca, key, certificate }: typeof old) =>
      new PeerClient(controller.url, 'controller', { ca, key, cert: certificate });
    const status = async (client: PeerClient) =>
      (await client.request('GET', '/agent/v1/images/none')).status;
    const before = clientOf(old);
    const fresh = await renew(new RealHost(), agent.config.state_dir, old, before, ['127.0.0.1']);
    expect(fresh.host_id).toBe(old.host_id);
    expect(fresh.key).not.toBe(old.key);
    expect(await status(before)).toBe(404);
    const after = clientOf(fresh);
    expect(await status(after)).toBe(404);
    expect(await status(before)).toBe(403);
    before.close();
    after.close();
    expect(isRenewalDue(fresh.certificate, new Date())).toBe(false);
    expect(isRenewalDue(fresh.certificate, new Date(Date.now() + 21 * 24 * 3600 * 1000))).toBe(true);
    expect((await loadIdentity(new RealHost(), agent.config.state_dir, ''))?.certificate).toBe(
      fresh.certificate,
    );
  });

  it('knows a host also on a resumed TLS session', async () => {
    const { ca, key, certificate } = await (await TestAgent.create('host1', cleanups)).join(
      await controller.token(),
    );
    const options = {
      host: '127.0.0.1',
      port: controller.port,
      ca,
      key,
      cert: certificate,
      checkServerIdentity: () => undefined,
    };
    const once = (session?: Buffer) =>
      new Promise<{ reused: boolean; session: Buffer; status: string }>((resolve, reject) => {
        let ticket: Buffer = Buffer.alloc(0);
        let text = '';
        let reused = false;
        const socket = connect({ ...options, ...(session ? { session } : {}) }, () => {
          reused = socket.isSessionReused();
          socket.write('GET /agent/v1/images/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        });
        socket.on('session', (one) => {
          ticket = one;
        });
        socket.on('data', (data) => {
          text += data;
        });
        socket.on('error', reject);
        socket.on('close', () => resolve({ reused, session: ticket, status: text.split(' ')[1] ?? '' }));
      });
    const first = await once();
    const second = await once(first.session);
    // 404: the certificate was accepted, the image is nobody's
    expect([first.reused, first.status, second.reused, second.status]).toEqual([false, '404', true, '404']);
  });

  it('serves TLS 1.3 only', async () => {
    const failure = new Promise<Error>((resolve) => {
      request(`${controller.url}/agent/v1/join`, { maxVersion: 'TLSv1.2', rejectUnauthorized: false })
        .on('error', resolve)
        .end();
    });
    expect((await failure).message).toMatch(/protocol version|alert/);
  });
});
