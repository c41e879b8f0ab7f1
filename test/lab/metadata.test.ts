import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RealHost } from '../../agents/host/real.js';
import type { MetadataListener } from '../../agents/metadata/listeners.js';
import { createMetadataPart } from '../../agents/metadata/part.js';
import type { Part } from '../../agents/part.js';
import type { GuestMetadata, Spec } from '../../src/protocol/objects.js';
import { memoryLog, serverObject, specOf, subnet } from '../support/guests.js';

const host = new RealHost();
const netns = `qdhcp-${randomUUID()}`;
const NETWORK = randomUUID();
const listener: MetadataListener = {
  netns,
  address: '169.254.169.254',
  port: 80,
  networkIds: [NETWORK],
  object: `dhcp/${NETWORK}`,
};
let stateDir: string;
let part: Part;
let listeners: MetadataListener[] = [listener];

beforeAll(async () => {
  stateDir = await mkdtemp('/tmp/maru-metadata-');
  await makeNamespace();
  part = createMetadataPart({ host, stateDir, listeners: () => listeners, log: memoryLog() });
});
afterAll(async () => {
  await part.close?.();
  await host.run('ip', ['netns', 'del', netns]);
  await rm(stateDir, { recursive: true });
});
beforeEach(() => {
  listeners = [listener];
});

/** A namespace whose loopback has the service's address and those of two guests. */
async function makeNamespace() {
  await host.run('ip', ['netns', 'add', netns]);
  for (const address of ['169.254.169.254/32', '198.51.100.5/32', '198.51.100.6/32', '198.51.100.7/32']) {
    await host.run('ip', ['-n', netns, 'addr', 'add', address, 'dev', 'lo']);
  }
  await host.run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
}

async function ask(from: string, path: string, ...options: string[]) {
  const args = [
    '-sS',
    '-m',
    '20',
    '--interface',
    from,
    '-w',
    '\n%{http_code}',
    ...options,
    `http://169.254.169.254${path}`,
  ];
  const { stdout } = await host.read('curl', args, { netns });
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

function guest(name: string, ip: string, given: Partial<GuestMetadata> = {}) {
  const server = serverObject({ name });
  const nic = {
    network_id: NETWORK,
    port_id: randomUUID(),
    mac: 'fa:16:3e:00:00:01',
    mtu: 1450,
    fixed_ips: [{ ip_address: ip, prefix_length: 24, subnet: subnet('198.51.100.0/24') }],
    floating_ips: ['203.0.113.9'],
  };
  return { ...server, metadata: { ...server.metadata, networks: [nic], ...given } };
}

/** Opens many connections and holds them until its input ends. */
const HOG = `
import socket, sys
held = [socket.create_connection(('169.254.169.254', 80), 30, ('198.51.100.6', 0)) for _ in range(40)]
print('held'); sys.stdin.read()
`;

const apply = (spec: Spec) => part.apply({ spec, changed: null });

describe('the metadata service', () => {
  const one = guest('one', '198.51.100.5', {
    keys: [{ name: 'mine', type: 'ssh', data: 'ssh-ed25519 AAAA me' }],
    user_data: Buffer.from('#!/bin/sh\necho hi\n').toString('base64'),
    meta: { role: 'web' },
  });
  const two = guest('two', '198.51.100.6');

  test('tells each guest about itself and strangers nothing', async () => {
    expect(await part.plan(specOf(one, two))).toHaveLength(1);
    expect(await apply(specOf(one, two))).toEqual([]);
    expect(await part.plan(specOf(one, two))).toEqual([]);
    const mine = await ask('198.51.100.5', '/openstack/latest/meta_data.json');
    expect(JSON.parse(mine.body)).toMatchObject({
      uuid: one.id,
      hostname: 'one.novalocal',
      public_keys: { mine: 'ssh-ed25519 AAAA me' },
      meta: { role: 'web' },
    });
    const other = await ask('198.51.100.6', '/openstack/2012-08-10/meta_data.json');
    expect(JSON.parse(other.body).uuid).toBe(two.id);
    expect(JSON.parse(other.body).random_seed).toBeUndefined();
    const forged = await ask(
      '198.51.100.7',
      '/openstack/latest/meta_data.json',
      '-H',
      'X-Forwarded-For: 198.51.100.5',
    );
    expect(forged.status).toBe(404);
  });

  test.each([
    ['/', 200, /^1\.0\n[\s\S]*\nlatest$/],
    ['/openstack', 200, /^2012-08-10\n[\s\S]*\n2020-10-14\nlatest$/],
    [
      '/openstack/latest/',
      200,
      /^meta_data.json\nuser_data\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json$/,
    ],
    ['/openstack/latest/user_data', 200, /^#!\/bin\/sh\necho hi$/],
    ['/openstack/latest/vendor_data2.json', 200, /^{}$/],
    ['/openstack/2012-08-10/vendor_data2.json', 404, /Not Found/],
    ['/openstack/latest/network_data.json', 200, /"ipv4_dhcp"/],
    ['/openstack/2099-01-01/meta_data.json', 404, /Not Found/],
    ['/latest/meta-data/', 200, /\nplacement\/\n[\s\S]*public-keys\/\n/],
    ['/latest/meta-data/public-keys/', 200, /^0=mine$/],
    ['/latest/meta-data/public-keys/0/openssh-key', 200, /^ssh-ed25519 AAAA me$/],
    ['/latest/meta-data/local-ipv4', 200, /^198\.51\.100\.5$/],
    ['/2009-04-04/meta-data/public-ipv4', 200, /^203\.0\.113\.9$/],
    ['/latest/meta-data/placement/availability-zone', 200, /^nova$/],
    ['/latest/user-data', 200, /echo hi/],
    ['/latest/meta-data/nothing', 404, /Not Found/],
    ['/nowhere', 404, /Not Found/],
    ['/%zz', 404, /Not Found/],
  ])('answers %s with %i', async (path, status, body) => {
    const reply = await ask('198.51.100.5', path);
    expect(reply.status).toBe(status);
    expect(reply.body.trimEnd()).toMatch(body);
  });

  test('keeps one password and no second', async () => {
    await host.makeDirectory(`${stateDir}/servers/${one.id}`, 0o711);
    expect(await ask('198.51.100.5', '/openstack/latest/password')).toEqual({ status: 200, body: '' });
    expect((await ask('198.51.100.5', '/openstack/latest/password', '-d', 'c2VjcmV0')).status).toBe(200);
    expect((await ask('198.51.100.5', '/openstack/latest/password', '-d', 'other')).status).toBe(409);
    expect((await ask('198.51.100.5', '/openstack/latest/password')).body).toBe('c2VjcmV0');
    expect((await ask('198.51.100.5', '/openstack/latest/password', '-d', 'x'.repeat(2000))).status).toBe(
      400,
    );
  });

  test('is not taken from its neighbours by a guest that opens many connections', async () => {
    const hog = spawn('ip', ['netns', 'exec', netns, 'python3', '-u', '-c', HOG], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(hog.stdout, 'data');
    await expect(ask('198.51.100.6', '/')).rejects.toThrow(/curl/);
    expect((await ask('198.51.100.5', '/')).status).toBe(200);
    hog.stdin.end();
    await once(hog, 'exit');
    await expect.poll(() => ask('198.51.100.6', '/').then(({ status }) => status)).toBe(200);
  });

  test('follows a namespace that was made anew, and leaves one that is not wanted', async () => {
    await host.run('ip', ['netns', 'del', netns]);
    await makeNamespace();
    expect(await part.plan(specOf(one))).toHaveLength(1);
    expect(await apply(specOf(one))).toEqual([]);
    expect((await ask('198.51.100.5', '/openstack/latest/meta_data.json')).status).toBe(200);
    listeners = [];
    expect(await apply(specOf(one))).toEqual([]);
    await expect(ask('198.51.100.5', '/')).rejects.toThrow(/exit code 7/);
  });

  test('reports a namespace that is not there by its object', async () => {
    listeners = [{ ...listener, netns: 'qdhcp-none' }];
    expect(await apply(specOf(one))).toMatchObject([{ key: `dhcp/${NETWORK}`, state: 'error' }]);
  });
});
