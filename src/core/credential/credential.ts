import { createHash, randomBytes } from 'node:crypto';
import { type CredentialRow, credentials } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import { users } from '../../store/identity/users.js';
import type { Reader, Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { badRequest } from '../errors.js';
import { missing, mustGet, newId, storing } from '../identity/rows.js';

/** What clients may set on a credential. */
export interface CredentialBody {
  readonly user_id?: string;
  readonly project_id?: string | null;
  readonly type?: string;
  readonly blob?: string;
}

/** A credential with its secret open. */
export type OpenCredential = Omit<CredentialRow, 'blob'> & { readonly blob: string };

/** An EC2 key pair. */
export interface Ec2Credential {
  readonly access: string;
  readonly secret: string;
  readonly user_id: string;
  readonly tenant_id: string;
}

export async function createCredential(
  app: App,
  body: CredentialBody & { readonly user_id: string },
): Promise<OpenCredential> {
  return await storing(app, 'credential', async (tx) => {
    await mustGet(users, tx, body.user_id, 'user');
    const type = body.type!;
    if (type === 'ec2' && !body.project_id) throw badRequest('EC2 credentials need a project_id.');
    const id = type === 'ec2' ? idOfAccess(accessOf(body.blob!)) : newId();
    const row = { id, user_id: body.user_id, project_id: body.project_id ?? null, type };
    await insert(app, tx, { ...row, blob: body.blob! });
    return { ...row, blob: body.blob! };
  });
}

export async function updateCredential(app: App, id: string, body: CredentialBody): Promise<OpenCredential> {
  return await storing(app, 'credential', async (tx) => {
    const before = open(app, await mustGet(credentials, tx, id, 'credential'));
    const changed: OpenCredential = {
      id,
      user_id: body.user_id ?? before.user_id,
      project_id: body.project_id === undefined ? before.project_id : body.project_id,
      type: body.type ?? before.type,
      blob: body.blob ?? before.blob,
    };
    if (changed.type === 'ec2' && !changed.project_id) throw badRequest('EC2 credentials need a project_id.');
    await credentials.update(tx, id, { ...changed, blob: app.identity.sealing.seal(changed.blob, id) });
    return changed;
  });
}

export async function getCredential(app: App, id: string): Promise<OpenCredential> {
  return open(app, await mustGet(credentials, app.store.read, id, 'credential'));
}

export async function listCredentials(
  app: App,
  filters: Readonly<Record<string, string | number>>,
): Promise<OpenCredential[]> {
  return (await credentials.list(app.store.read, filters)).map((row) => open(app, row));
}

export async function deleteCredential(app: App, id: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await mustGet(credentials, tx, id, 'credential');
    await credentials.remove(tx, id);
  });
}

/** Makes an EC2 key pair of a user for a project. */
export async function createEc2Credential(
  app: App,
  userId: string,
  projectId: string,
): Promise<Ec2Credential> {
  const pair = { access: randomBytes(16).toString('hex'), secret: randomBytes(16).toString('hex') };
  await app.identity.write(async (tx) => {
    await mustGet(users, tx, userId, 'user');
    await mustGet(projects, tx, projectId, 'project');
    const row = { id: idOfAccess(pair.access), user_id: userId, project_id: projectId, type: 'ec2' };
    await insert(app, tx, { ...row, blob: JSON.stringify(pair) });
  });
  return { ...pair, user_id: userId, tenant_id: projectId };
}

export async function getEc2Credential(app: App, userId: string, access: string): Promise<Ec2Credential> {
  return ec2Of(open(app, await ownEc2Row(app.store.read, userId, access)));
}

export async function listEc2Credentials(app: App, userId: string): Promise<Ec2Credential[]> {
  await mustGet(users, app.store.read, userId, 'user');
  return (await listCredentials(app, { user_id: userId, type: 'ec2' })).map(ec2Of);
}

export async function deleteEc2Credential(app: App, userId: string, access: string): Promise<void> {
  await app.identity.write(async (tx) => {
    await credentials.remove(tx, (await ownEc2Row(tx, userId, access)).id);
  });
}

async function ownEc2Row(db: Reader, userId: string, access: string): Promise<CredentialRow> {
  const row = await credentials.get(db, idOfAccess(access));
  if (row?.user_id !== userId || row.type !== 'ec2') throw missing('credential', access);
  return row;
}

function ec2Of({ blob, user_id, project_id }: OpenCredential): Ec2Credential {
  const { access, secret } = JSON.parse(blob) as { access: string; secret: string };
  return { access, secret, user_id, tenant_id: project_id ?? '' };
}

/** EC2 credentials are found by the hash of their access key. */
function idOfAccess(access: string): string {
  return createHash('sha256').update(access).digest('hex');
}

function accessOf(blob: string): string {
  try {
    const { access } = JSON.parse(blob) as { access?: unknown };
    if (typeof access === 'string' && access !== '') return access;
  } catch {
    // refused below
  }
  throw badRequest('Invalid blob in credential: an EC2 credential is JSON with access and secret.');
}

async function insert(app: App, tx: Tx, row: OpenCredential): Promise<void> {
  await credentials.insert(tx, { ...row, blob: app.identity.sealing.seal(row.blob, row.id) });
}

function open(app: App, row: CredentialRow): OpenCredential {
  return { ...row, blob: app.identity.sealing.open(row.blob, row.id) };
}
