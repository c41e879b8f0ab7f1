import {
  issueServer,
  makeAuthority,
  namesOf,
  problemOf,
  RENEW_BEFORE_DAYS,
} from '../../src/api/server-certificate.js';
import { isOfAnother, isOwnAuthority, isSignedBy } from '../../src/protocol/own-authority.js';
import { type Action, ensureDirectory, ensureFile, ensureGone, machine } from './actions.js';
import { TLS, USER } from './layout.js';
import { type InstallOptions, ownAddress, ownName } from './options.js';
import type { Step } from './run-steps.js';
import { configured } from './settings.js';
import {
  FILES,
  FORMER,
  formerAuthority,
  formerFiles,
  isFormerOwn,
  type OwnFiles,
  ownFiles,
  readPair,
} from './tls-files.js';

const GIVEN_OWNER = `root:${USER}`;

/** Certificate and key of the public API: those given, or of an authority of its own, made once and then renewed by the controller. */
export function tlsStep(options: InstallOptions): Step {
  return {
    name: 'TLS',
    async look() {
      if (options.tls === 'none') return [];
      if (options.tlsCert) return [...(await ensureDirectory(TLS, 0o755)), ...(await given(options))];
      const files = await ownFiles();
      if (!(await wantsOwn(options, files))) return [];
      return [...(await ensureDirectory(TLS, 0o755)), ...(await own(options, files))];
    },
  };
}

/** Who operates with files of his own, or without TLS, has said so in the configuration, which stays as it is. */
async function wantsOwn(options: InstallOptions, files: OwnFiles): Promise<boolean> {
  if (options.tls === 'own') return true;
  const file = await configured('controller', 'tls_cert_file');
  if (file === null) return (await configured('controller', 'listen')) === null;
  if (file === files.certificate) return !(await isAnothers(files.certificate));
  return await isFormerOwn();
}

/** Where ours would be, an operator has put one of his: neither taken for ours nor written over. */
async function isAnothers(path: string): Promise<boolean> {
  const text = await machine.readFileIfExists(path);
  return text !== null && isOfAnother(text);
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
  const before = await machine.readFileIfExists(FILES.ca);
  // clients would be told to trust only an authority that has not signed it
  const stale =
    authority === null && before !== null && isOwnAuthority(before) && !isSignedBy(pair.certificate, before);
  return [
    ...(misfit ? [{ do: 'warn' as const, text: warn }] : []),
    // first: it is known for ours by the authority's certificate
    ...((await formerAuthority()) === null ? [] : await ensureGone(FORMER.caKey)),
    ...(stale ? await ensureGone(FILES.ca) : []),
    ...(authority ? await ensureFile({ path: FILES.ca, content: authority, mode: 0o644 }) : []),
    ...(await ensureFile({ path: FILES.certificate, content: pair.certificate, mode: 0o644 })),
    ...(await ensureFile({
      path: FILES.key,
      content: pair.key,
      mode: 0o640,
      owner: GIVEN_OWNER,
      secret: true,
    })),
  ];
}

async function own(options: InstallOptions, files: OwnFiles): Promise<Action[]> {
  if (await isAnothers(files.ca))
    throw new Error(
      `${files.ca} is an authority that was not made by maru install: move it, its key and what it signed out of ${files.directory}`,
    );
  const wanted = [options.address ?? (await ownAddress()), ownName(), 'localhost', '127.0.0.1'];
  const names = [...new Set(wanted)];
  const problem = await currentProblem(files, names);
  // in /etc they are of an earlier version, and root's: nothing could renew with them
  const cleanUp = (await Promise.all((await formerFiles()).map(ensureGone))).flat();
  if (problem === null) {
    const ca = await machine.readFile(files.ca);
    return [...(await ensureFile({ path: FILES.ca, content: ca, mode: 0o644 })), ...cleanUp];
  }
  const text = `certificate ${files.certificate} for ${names.join(', ')} (${problem}), signed by the authority ${FILES.ca}; the controller renews it by itself`;
  return [{ do: 'call', say: `make a ${text}`, call: () => makeOwn(files, names) }, ...cleanUp];
}

async function currentProblem(files: OwnFiles, names: readonly string[]): Promise<string | null> {
  const pair = await readPair(files.certificate, files.key);
  const authority = await readPair(files.ca, files.caKey);
  if (!pair || !authority) return 'there is none yet';
  const unusable = problemOf(authority, [], RENEW_BEFORE_DAYS);
  if (unusable) return `its authority: ${unusable}`;
  const problem = problemOf(pair, names, RENEW_BEFORE_DAYS);
  if (problem) return problem;
  return isSignedBy(pair.certificate, authority.certificate) ? null : `it is not signed by ${files.ca}`;
}

async function makeOwn(files: OwnFiles, names: readonly string[]): Promise<void> {
  const owner = `${USER}:${USER}`;
  // -h: not what a link in a directory of the controller's leads to
  const giveAway = (path: string) => machine.run('chown', ['-h', owner, path]);
  await machine.makeDirectory(files.directory, 0o700);
  await giveAway(files.directory);
  const put = async (path: string, content: string, mode: number) => {
    await machine.writeFile(path, content, mode);
    await giveAway(path);
  };
  const known = (await readPair(files.ca, files.caKey)) ?? (await formerAuthority());
  const kept = known !== null && problemOf(known, [], RENEW_BEFORE_DAYS) === null ? known : null;
  const authority = kept ?? (await makeAuthority(names[0] ?? 'maru'));
  // the key last: the controller takes the certificate for its own to renew when it sees it
  await put(files.ca, authority.certificate, 0o644);
  await put(files.caKey, authority.key, 0o600);
  await machine.writeFile(FILES.ca, authority.certificate, 0o644);
  // controllers that share the directory have one certificate, for the names of all of them
  const before = kept ? await readPair(files.certificate, files.key) : null;
  const all = [...new Set([...names, ...(before ? namesOf(before.certificate) : [])])];
  const { certificate, key } = await issueServer(authority, all);
  await put(files.key, key, 0o600);
  await put(files.certificate, certificate, 0o644);
}
