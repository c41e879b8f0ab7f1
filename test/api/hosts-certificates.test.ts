import { X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RealHost } from '../../agents/host/real.js';
import { type Identity, loadIdentity, renew } from '../../agents/transport/identity.js';
import { type CertificateOptions, issueOf } from '../../src/hosts/certificates.js';
import { PeerClient } from '../../src/protocol/peer-client.js';
import { findHostByName } from '../../src/store/hosts.js';
import { TestAgent, TestController, until } from '../support/hosts/harness.js';

/** Certificates that are good for long, but are to be renewed seconds after they were issued: as if most of their life were over. */
const soonDue = (seconds: number, lifetimeMs: number) => ({
  lifetimeMs,
  // the last third of the whole begins so long after now
  skewMs: 2 * lifetimeMs - 3_000 * seconds,
});

describe('a host’s certificate', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    vi.useRealTimers();
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const begin = async (certificates: CertificateOptions) => {
    const controller = await TestController.start(cleanups, certificates);
    await controller.listen();
    const agent = await TestAgent.create('host1', cleanups);
    const identity = await agent.join(await controller.token());
    const row = async () => (await findHostByName(controller.store.read, 'host1'))!;
    return { controller, agent, identity, row };
  };
  const clientOf = (controller: TestController, { ca, key, certificate }: Identity) =>
    new PeerClient(controller.url, 'controller', { ca, key, cert: certificate });
  const ask = async (controller: TestController, identity: Identity) => {
    const client = clientOf(controller, identity);
    const reply = await client.request<{ message: string }>('GET', '/agent/v1/images/none');
    client.close();
    return reply;
  };

  it('lasts 30 days, is good for hosts whose clock is minutes behind, and names the host', async () => {
    const { identity, row } = await begin({ lifetimeMs: 30 * 86_400_000, skewMs: 600_000 });
    const certificate = new X509Certificate(identity.certificate);
    const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThan(30.1);
    expect(Date.now() - Date.parse(certificate.validFrom)).toBeGreaterThan(9 * 60_000);
    expect(certificate.subject).toBe('CN=host1');
    expect(certificate.subjectAltName).toBe('DNS:host1, IP Address:127.0.0.1');
    expect(certificate.ca).toBe(false);
    expect(issueOf(certificate.serialNumber)).toBe((await row()).certificate_issue);
  });

  it('renews itself again and again, without missing a heartbeat', async () => {
    const { controller, agent, identity, row } = await begin(soonDue(1, 120_000));
    await agent.start();
    const seen = new Set([(await row()).certificate_fingerprint]);
    await until('the third certificate', async () => {
      seen.add((await row()).certificate_fingerprint);
      return seen.size >= 3;
    });
    expect(controller.hosts.isUp(identity.host_id)).toBe(true);
    expect(agent.lines.filter((line) => line.includes('no answer from the controller'))).toEqual([]);
    // the first one is worth nothing any more, though its time is not over
    expect((await ask(controller, identity)).status).toBe(403);
  });

  it('stays good when the answer to a renewal was lost', async () => {
    const { controller, agent, identity, row } = await begin({ lifetimeMs: 600_000, skewMs: 0 });
    const client = clientOf(controller, identity);
    const lost = await renew(new NoFiles(), '/nowhere', identity, client, []);
    expect((await row()).next_certificate_fingerprint).not.toBeNull();
    expect((await ask(controller, identity)).status).toBe(404);
    const fresh = await renew(new RealHost(), agent.config.state_dir, identity, client, ['127.0.0.1']);
    client.close();
    // whichever arrived is good, also when it is not the last one; it ends those before it
    expect((await ask(controller, lost)).status).toBe(404);
    expect((await ask(controller, identity)).status).toBe(403);
    expect((await ask(controller, fresh)).status).toBe(404);
    expect((await ask(controller, lost)).status).toBe(403);
    expect(await row()).toMatchObject({ observe_only: 0, next_certificate_fingerprint: null });
    expect((await ask(controller, identity)).status).toBe(403);
  });

  it('is renewed although the controller was away when it was due', async () => {
    const { controller, agent, identity, row } = await begin(soonDue(2, 60_000));
    await agent.start();
    await until('up', () => controller.hosts.isUp(identity.host_id));
    await controller.hosts.close();
    const first = (await row()).certificate_fingerprint;
    await until('a failed attempt', () => agent.lines.join().includes('could not be renewed'));
    await controller.restart();
    // it is let in for that only while the one before is good
    await until('renewed', async () => (await row()).certificate_fingerprint !== first);
    expect(agent.lines.join()).not.toContain('expired');
  });

  it('is taken into use by the next process when the agent dies between getting and using it', async () => {
    const { controller, agent, identity, row } = await begin({ lifetimeMs: 600_000, skewMs: 0 });
    const client = clientOf(controller, identity);
    const fresh = await renew(new RealHost(), agent.config.state_dir, identity, client, ['127.0.0.1']);
    client.close();
    const pending = (await row()).next_certificate_fingerprint;
    await agent.start();
    await until('used', async () => (await row()).certificate_fingerprint === pending);
    expect(await row()).toMatchObject({ next_certificate_fingerprint: null });
    expect((await loadIdentity(new RealHost(), agent.config.state_dir, ''))?.key).toBe(fresh.key);
    expect((await ask(controller, identity)).status).toBe(403);
  });

  it('says what to do when it has expired, to the agent and in the controller’s answer', async () => {
    const { controller, agent, identity, row } = await begin({ lifetimeMs: 600_000, skewMs: 900_000 });
    // a connection from before does not outlive it
    const open = clientOf(controller, identity);
    expect((await open.request('GET', '/agent/v1/images/none')).status).toBe(404);
    const end = Date.parse(new X509Certificate(identity.certificate).validTo);
    vi.useFakeTimers({ toFake: ['Date'], now: end + 1_000 });
    const { status, body } = await ask(controller, identity);
    expect(status).toBe(401);
    expect(body.message).toMatch(/host 'host1' expired at .*maru host token --name host1.*--join TOKEN/);
    expect((await open.request('GET', '/agent/v1/images/none')).status).toBe(401);
    open.close();
    await agent.start();
    expect(agent.lines.join()).toMatch(/certificate of this host expired at .*maru host token --name host1/);
    await agent.stop();
    await agent.join(await controller.token('host1'));
    expect(agent.identity.host_id).toBe(identity.host_id);
    await agent.start();
    await until('up', () => controller.hosts.isUp(identity.host_id));
    expect((await row()).name).toBe('host1');
  });

  it('is not taken when it belongs to another key than was sent', async () => {
    const { controller, identity } = await begin({ lifetimeMs: 600_000, skewMs: 0 });
    const other = await (await TestAgent.create('host2', cleanups)).join(await controller.token());
    const liar = {
      request: async () => ({ status: 200, body: { ...other, ca: other.ca } }),
    } as unknown as PeerClient;
    await expect(renew(new NoFiles(), '/nowhere', identity, liar, [])).rejects.toThrow(/another key/);
  });
});

/** Files that are forgotten. */
class NoFiles {
  readFileIfExists = async () => null;
  writeFile = async () => {};
  makeDirectory = async () => {};
  removeFile = async () => {};
  rename = async () => {};
}
