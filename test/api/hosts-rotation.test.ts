import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { trustedAuthorities } from '../../agents/transport/identity.js';
import { Authorities } from '../../src/hosts/authorities.js';
import { PeerClient } from '../../src/protocol/peer-client.js';
import { findHostByName } from '../../src/store/hosts.js';
import { TestAgent, TestController, temporaryDirectory, until } from '../support/hosts/harness.js';

describe('replacing the certificate authority', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let controller: TestController;
  let one: TestAgent;
  let two: TestAgent;

  beforeEach(async () => {
    controller = await TestController.start(cleanups);
    await controller.listen();
    one = await TestAgent.create('host1', cleanups);
    two = await TestAgent.create('host2', cleanups);
    await one.join(await controller.token());
    await two.join(await controller.token());
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const status = () => controller.hosts.authority.status();
  const isUp = async (agent: TestAgent) =>
    controller.hosts.isUp((await findHostByName(controller.store.read, agent.config.name))!.id);
  const ready = () => until('all are ready', async () => (await status()).waiting_for.length === 0);
  const onlyTrust = (agent: TestAgent, fingerprint: string) =>
    until(`${agent.config.name} trusts only the one`, async () => {
      const row = await findHostByName(controller.store.read, agent.config.name);
      return row?.trusted_authorities === JSON.stringify([fingerprint]);
    });
  /** Fingerprint of the authority that the controller shows. */
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: controller.port, rejectUnauthorized: false }, () => {
        const { issuerCertificate } = socket.getPeerCertificate(true);
        socket.destroy();
        resolve(issuerCertificate.fingerprint256.replaceAll(':', '').toLowerCase());
      });
      socket.on('error', reject);
    });

  it('gives every host a certificate of the new one and then trusts only that, while everything works', async () => {
    await one.start();
    await two.start();
    await until('up', async () => (await isUp(one)) && (await isUp(two)));
    const old = (await status()).authorities[0]!.fingerprint;
    const begun = await controller.hosts.authority.rotate();
    expect(begun.phase).toBe('rotating');
    const fresh = begun.authorities.find((authority) => authority.signs_hosts)!.fingerprint;
    expect(fresh).not.toBe(old);
    expect(await shown()).toBe(old);
    await ready();
    const host1 = (await findHostByName(controller.store.read, 'host1'))!;
    expect((await controller.hosts.plan(host1.id)).steps).toEqual([]);
    const done = await controller.hosts.authority.finish(false);
    expect(done).toMatchObject({ phase: 'none', waiting_for: [], since: null });
    expect(done.authorities.map((authority) => authority.fingerprint)).toEqual([fresh]);
    expect(await shown()).toBe(fresh);
    await onlyTrust(one, fresh);
    await onlyTrust(two, fresh);
    expect((await status()).hosts.every((host) => !host.trusts_retired)).toBe(true);
    expect((await controller.hosts.plan(host1.id)).steps).toEqual([]);
    for (const agent of [one, two]) {
      expect(agent.lines.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([]);
    }
  });

  it('waits for a host that is off, which catches up when it comes back before the end', async () => {
    await one.start();
    await controller.hosts.authority.rotate();
    await until('only one waits', async () => (await status()).waiting_for.join() === 'host2');
    await expect(controller.hosts.authority.finish(false)).rejects.toThrow(/host2.*--force/);
    expect((await status()).phase).toBe('rotating');
    await two.start();
    await ready();
    await controller.hosts.authority.finish(false);
    await onlyTrust(two, (await status()).authorities[0]!.fingerprint);
  });

  it('leaves out, when forced, exactly the hosts that it names; those are told to join again, and can', async () => {
    await one.start();
    await controller.hosts.authority.rotate();
    await until('only one waits', async () => (await status()).waiting_for.join() === 'host2');
    expect((await controller.hosts.authority.finish(true)).waiting_for).toEqual(['host2']);
    const authority = (await status()).authorities[0]!;
    await onlyTrust(one, authority.fingerprint);
    const { key, certificate } = two.identity;
    const ca = (await Authorities.open(controller.directory)).bundle;
    const client = new PeerClient(controller.url, 'controller', { ca, key, cert: certificate });
    const { status: code, body } = await client.request<{ message: string }>('GET', '/agent/v1/images/x');
    client.close();
    expect(code).toBe(401);
    expect(body.message).toMatch(/no authority that this installation trusts.*maru host token --name host2/);
    await two.join(await controller.token('host2'));
    await two.start();
    await until('up again', () => isUp(two));
  });

  it('can be called off: all come back to the old one', async () => {
    await one.start();
    const old = (await status()).authorities[0]!.fingerprint;
    await controller.hosts.authority.rotate();
    await until('one has a new one', async () => (await status()).waiting_for.join() === 'host2');
    expect(await controller.hosts.authority.abort()).toMatchObject({ phase: 'aborting' });
    await expect(controller.hosts.authority.rotate()).rejects.toThrow(/being replaced already/);
    await ready();
    await controller.hosts.authority.finish(false);
    expect((await status()).authorities.map((authority) => authority.fingerprint)).toEqual([old]);
    await onlyTrust(one, old);
    await two.start();
    await until('the one that slept through it is up', () => isUp(two));
    await expect(controller.hosts.authority.finish(false)).rejects.toThrow(/not being replaced/);
    await expect(controller.hosts.authority.abort()).rejects.toThrow(/not being replaced/);
  });

  it('goes on after the controller was killed at any step', async () => {
    await one.start();
    await two.start();
    await controller.hosts.authority.rotate();
    await controller.restart();
    expect((await status()).phase).toBe('rotating');
    await ready();
    await controller.restart();
    await controller.hosts.authority.finish(false);
    const { fingerprint } = (await status()).authorities[0]!;
    // killed between the new state's file and the removal of the old one's, and while writing the next
    writeFileSync(`${controller.directory}/ca-1.json`, '{}');
    writeFileSync(`${controller.directory}/ca-new-1-x.tmp`, '{"half');
    await controller.restart();
    expect((await status()).authorities.map((authority) => authority.fingerprint)).toEqual([fingerprint]);
    await onlyTrust(one, fingerprint);
    await onlyTrust(two, fingerprint);
  });

  it('keeps join tokens working that were made during it, and says so of those from before', async () => {
    const before = await controller.token();
    const begun = await controller.hosts.authority.rotate();
    expect(begun).toMatchObject({ phase: 'rotating', waiting_for: ['host1', 'host2'] });
    const during = [await controller.token(), await controller.token()];
    const three = await TestAgent.create('host3', cleanups);
    await three.join(before);
    expect(trustedAuthorities(three.identity)).toHaveLength(2);
    const late = await controller.token();
    await (await TestAgent.create('host4', cleanups)).join(during[0]!);
    for (const agent of [one, two, three]) await agent.start();
    await until('those are ready', async () => (await status()).waiting_for.length === 0);
    const unused = await controller.store.read.selectFrom('join_token').selectAll().execute();
    expect(unused.filter((token) => token.used_at === null)).toHaveLength(2);
    expect((await controller.hosts.authority.finish(true)).tokens_ended).toBe(0);
    await (await TestAgent.create('host5', cleanups)).join(during[1]!);
    await (await TestAgent.create('host6', cleanups)).join(late);
  });

  it('ends the tokens from before it', async () => {
    const before = await controller.token();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await controller.hosts.authority.rotate();
    expect((await controller.hosts.authority.finish(true)).tokens_ended).toBe(1);
    const late = await TestAgent.create('host7', cleanups);
    await expect(late.join(before)).rejects.toThrow(
      /certificate authority was replaced since.*make a new token/,
    );
  });
});

describe('the file of the authorities', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  it('is readable by its owner alone, and the keys of what is trusted no longer are gone', async () => {
    const directory = await temporaryDirectory(cleanups);
    const authorities = await Authorities.open(directory);
    const old = authorities.signing.record.key;
    await authorities.rotate();
    await authorities.finish();
    const files = readdirSync(directory);
    expect(files).toEqual(['ca-3.json']);
    expect(statSync(`${directory}/ca-3.json`).mode & 0o777).toBe(0o600);
    expect(readFileSync(`${directory}/ca-3.json`, 'utf8')).not.toContain(JSON.stringify(old).slice(1, -1));
  });

  it('lets one of two controllers begin a replacement, and tells the other', async () => {
    const directory = await temporaryDirectory(cleanups);
    const [here, there] = await Promise.all([Authorities.open(directory), Authorities.open(directory)]);
    expect(there.fingerprints).toEqual(here.fingerprints);
    const results = await Promise.allSettled([here.rotate(), there.rotate()]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    await here.reload();
    await there.reload();
    expect(there.fingerprints).toEqual(here.fingerprints);
    expect(here.fingerprints).toHaveLength(2);
    expect(await here.reload()).toBe(false);
    expect(new X509Certificate(here.signing.pem).subject).not.toBe(
      new X509Certificate(here.presenting.pem).subject,
    );
  });

  it('says what it is when it is damaged', async () => {
    const directory = await temporaryDirectory(cleanups);
    await Authorities.open(directory);
    writeFileSync(`${directory}/ca-2.json`, '{"signing":');
    await expect(Authorities.open(directory)).rejects.toThrow(
      /ca-2\.json cannot be read.*certificate authority; restore it/,
    );
  });
});
