import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ownTlsDirectory } from '../../agents/doctor/facts/own-tls.js';
import { readFiles } from '../../agents/doctor/facts/storage.js';
import { readCertificates } from '../../agents/doctor/facts/trust.js';
import type { Settings } from '../../agents/doctor/facts.js';
import { Look } from '../../agents/doctor/look.js';
import { RealHost } from '../../agents/host/real.js';
import { issueServer, type KeyPair, makeAuthority } from '../../src/api/server-certificate.js';
import { foreignAuthority } from '../support/foreign-authority.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-doctor-tls-'));
  mkdirSync(join(directory, 'state'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const look = new Look(new RealHost());

/** What is found of a certificate that `issuer` has signed and `beside` lies beside. */
async function found(issuer: KeyPair, beside: KeyPair) {
  const file = join(directory, 'api.pem');
  const pair = await issueServer(issuer, ['192.0.2.1']);
  const all = { 'ca.pem': beside.certificate, 'ca.key': beside.key, 'api.key': pair.key };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(directory, name), text);
  writeFileSync(file, pair.certificate);
  const controller = {
    state_dir: join(directory, 'state'),
    database: 'postgres://db.test/maru',
    listen: '127.0.0.1:5000',
    agent_listen: '127.0.0.1:5443',
    image_dir: join(directory, 'state'),
    underlay_mtu: 1500,
    log_file: null,
    admin_password_file: join(directory, 'state/admin-password'),
    tls_cert_file: file,
  };
  const settings: Settings = { file: join(directory, 'maru.yaml'), problem: null, host: null, controller };
  return {
    kinds: (await readCertificates(look, settings, null)).map(({ what }) => what),
    secrets: (await readFiles(look, settings)).filter(({ secret }) => secret).map(({ path }) => path),
    written: await ownTlsDirectory(look, file),
  };
}

it('a certificate that an authority made here has signed is the controller’s: with its keys, its authority and its directory', async () => {
  const ours = await makeAuthority('x');
  expect(await found(ours, ours)).toEqual({
    kinds: ['api-own', 'api-authority'],
    secrets: [join(directory, 'ca.key'), join(directory, 'api.key')],
    written: directory,
  });
});

it('a given one is not, whatever authority lies beside it', async () => {
  const [ours, theirs] = [await makeAuthority('x'), await foreignAuthority()];
  const given = { kinds: ['api-given'], secrets: [], written: null };
  expect(await found(theirs, theirs)).toEqual(given);
  expect(await found(theirs, ours)).toEqual(given);
  expect(await found(await makeAuthority('x'), ours)).toEqual(given);
});
