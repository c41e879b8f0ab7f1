import type { GuestMetadata } from '../../src/protocol/objects.js';
import { newRandomSeed } from './config-drive.js';
import { ec2Lookup, ec2MetaData } from './ec2.js';
import { openstackFile, openstackFileNames } from './openstack.js';
import { EC2_VERSIONS, OPENSTACK_VERSIONS, parseVersion } from './versions.js';

export interface MetadataReply {
  readonly status: number;
  readonly type: 'text/plain' | 'application/json' | 'application/octet-stream';
  readonly body: string | Buffer;
}

/** A guest's administrator password, encrypted with its key: the guest stores it once, its owner reads it. */
export interface PasswordStore {
  read(): Promise<string>;
  /** False when there is one already. */
  write(password: string): Promise<boolean>;
}

/** Nova keeps it in system metadata, in at most four pieces of 255 characters. */
const MAX_PASSWORD = 1020;

/** Answers one request of a guest about itself. */
export async function answer(
  method: string,
  url: string,
  body: string,
  metadata: GuestMetadata,
  passwords: PasswordStore,
): Promise<MetadataReply> {
  const path = pathOf(url);
  if (path === null) return NOT_FOUND;
  const isPassword = path.length === 3 && path[0] === 'openstack' && path[2] === 'password';
  if (isPassword && method === 'POST') return storePassword(path[1] ?? '', body, passwords);
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, type: 'text/plain', body: 'Method Not Allowed' };
  const [first, ...rest] = path;
  if (first === undefined) return text([...EC2_VERSIONS, 'latest'].join('\n'));
  if (first === 'openstack') return openstack(rest, metadata, passwords);
  if (first === 'latest' || (EC2_VERSIONS as readonly string[]).includes(first)) return ec2(rest, metadata);
  return NOT_FOUND;
}

export const NOT_FOUND: MetadataReply = { status: 404, type: 'text/plain', body: 'Not Found' };

async function openstack(
  path: readonly string[],
  metadata: GuestMetadata,
  passwords: PasswordStore,
): Promise<MetadataReply> {
  const [versionText, name, ...more] = path;
  if (versionText === undefined) return text([...OPENSTACK_VERSIONS, 'latest'].join('\n'));
  const version = parseVersion(versionText);
  if (version === null || more.length > 0) return NOT_FOUND;
  const names = openstackFileNames(metadata, version);
  if (name === undefined) return text(names.join('\n'));
  if (!names.includes(name)) return NOT_FOUND;
  if (name === 'password') return text(await passwords.read());
  const content = openstackFile(metadata, version, name, newRandomSeed());
  if (content === null) return NOT_FOUND;
  return {
    status: 200,
    type: typeof content === 'string' ? 'application/json' : 'application/octet-stream',
    body: content,
  };
}

function ec2(path: readonly string[], metadata: GuestMetadata): MetadataReply {
  const [kind, ...rest] = path;
  const hasUserData = metadata.user_data !== null;
  if (kind === undefined) return text(['meta-data/', ...(hasUserData ? ['user-data'] : [])].join('\n'));
  if (kind === 'user-data' && rest.length === 0 && hasUserData) {
    return {
      status: 200,
      type: 'application/octet-stream',
      body: Buffer.from(metadata.user_data ?? '', 'base64'),
    };
  }
  if (kind !== 'meta-data') return NOT_FOUND;
  const found = ec2Lookup(ec2MetaData(metadata), rest);
  return found === null ? NOT_FOUND : text(found);
}

async function storePassword(
  version: string,
  body: string,
  passwords: PasswordStore,
): Promise<MetadataReply> {
  if (parseVersion(version) === null) return NOT_FOUND;
  if (body.length > MAX_PASSWORD) return { status: 400, type: 'text/plain', body: 'Request is too large.' };
  if (!(await passwords.write(body))) return { status: 409, type: 'text/plain', body: 'Conflict' };
  return text('');
}

/** The parts of a path; empty ones, as in `//` and at the end, do not count. Null: not a path. */
function pathOf(url: string): readonly string[] | null {
  try {
    return decodeURIComponent(url.split('?')[0] ?? '')
      .split('/')
      .filter((part) => part !== '');
  } catch {
    return null;
  }
}

function text(body: string): MetadataReply {
  return { status: 200, type: 'text/plain', body };
}
