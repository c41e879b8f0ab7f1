import { X509Certificate } from 'node:crypto';
import { type Action, ensureDirectory, ensureFile, machine } from './actions.js';
import { issueServer, type KeyPair, makeAuthority, problemOf, RENEW_BEFORE_DAYS } from './certificates.js';
import { configured } from './config-file.js';
import { TLS, USER } from './layout.js';
import { type InstallOptions, ownAddress, ownName } from './options.js';
import type { Step } from './run-steps.js';

export const FILES = {
  ca: `${TLS}/ca.pem`,
  caKey: `${TLS}/ca.key`,
  certificate: `${TLS}/api.pem`,
  key: `${TLS}/api.key`,
} as const;
const OWNER = `root:${USER}`;

/** Certificate and key of the public API: those given, or of an authority of its own, made once and kept. */
export function tlsStep(options: InstallOptions): Step {
  return {
    name: 'TLS',
    async look() {
      if (options.tls === 'none' || !(await wantsTls(options))) return [];
      const directory = await ensureDirectory(TLS, 0o755);
      if (options.tlsCert) return [...directory, ...(await given(options))];
      return [...directory, ...(await own(options))];
    },
  };
}

/** Who operates with files of his own, or without TLS, has said so in the configuration, which stays as it is. */
async function wantsTls(options: InstallOptions): Promise<boolean> {
  if (options.tls === 'own' || options.tlsCert) return true;
  const file = await configured('controller', 'tls_cert_file');
  return file === null ? (await configured('controller', 'listen')) === null : file === FILES.certificate;
}

async function given(options: InstallOptions): Promise<Action[]> {
  if (!options.tlsKey) throw new Error('--tls-cert needs --tls-key');
  const pair = {
    certificate: await machine.readFile(options.tlsCert ?? ''),
    key: await machine.readFile(options.tlsKey),
  };
  const unusable = problemOf(pair, []);
  if (unusable) throw new Error(`${options.tlsCert}, ${options.tlsKey}: ${unusable}`);
  const name = options.address ?? (await ownAddress());
  const misfit = problemOf(pair, [name]);
  const warn = `the certificate in ${options.tlsCert}: ${misfit}; clients will refuse https://${name}: say --address NAME with a name that is in it`;
  const authority = options.tlsCa ? await machine.readFile(options.tlsCa) : null;
  return [
    ...(misfit ? [{ do: 'warn' as const, text: warn }] : []),
    ...(authority ? await ensureFile({ path: FILES.ca, content: authority, mode: 0o644 }) : []),
    ...(await ensureFile({ path: FILES.certificate, content: pair.certificate, mode: 0o644 })),
    ...(await ensureFile({ path: FILES.key, content: pair.key, mode: 0o640, owner: OWNER, secret: true })),
  ];
}

async function own(options: InstallOptions): Promise<Action[]> {
  const wanted = [options.address ?? (await ownAddress()), ownName(), 'localhost', '127.0.0.1'];
  const names = [...new Set(wanted)];
  const problem = await currentProblem(names);
  if (problem === null) return [];
  const text = `certificate ${FILES.certificate} for ${names.join(', ')} (${problem}), signed by the authority ${FILES.ca}`;
  return [{ do: 'call', say: `make a ${text}`, call: () => makeOwn(names) }];
}

async function currentProblem(names: readonly string[]): Promise<string | null> {
  const pair = await readPair(FILES.certificate, FILES.key);
  if (!pair) return 'there is none yet';
  const problem = problemOf(pair, names, RENEW_BEFORE_DAYS);
  if (problem) return problem;
  const ca = await machine.readFileIfExists(FILES.ca);
  // one that was given stays until another is asked for
  const signed =
    ca === null || new X509Certificate(pair.certificate).verify(new X509Certificate(ca).publicKey);
  return signed ? null : `it is not signed by ${FILES.ca}`;
}

async function makeOwn(names: readonly string[]): Promise<void> {
  let authority = await readPair(FILES.ca, FILES.caKey);
  if (!authority) {
    authority = await makeAuthority(names[0] ?? 'maru');
    // the key first: an authority without its key would be of no use
    await machine.writeFile(FILES.caKey, authority.key, 0o600);
    await machine.writeFile(FILES.ca, authority.certificate, 0o644);
  }
  const { certificate, key } = await issueServer(authority, names);
  await machine.writeFile(FILES.key, key, 0o600);
  await machine.run('chown', [OWNER, FILES.key]);
  await machine.chmod(FILES.key, 0o640);
  await machine.writeFile(FILES.certificate, certificate, 0o644);
}

async function readPair(certificateFile: string, keyFile: string): Promise<KeyPair | null> {
  const certificate = await machine.readFileIfExists(certificateFile);
  const key = await machine.readFileIfExists(keyFile);
  return certificate !== null && key !== null ? { certificate, key } : null;
}
