import { randomBytes } from 'node:crypto';
import { credentials } from '../../store/identity/delegations.js';
import { projects } from '../../store/identity/projects.js';
import { users } from '../../store/identity/users.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { missing, mustGet } from '../identity/rows.js';
import { refuseMore } from '../identity/user-limit.js';
import { forbiddenAction, isDelegated, refuseRestricted } from '../token/guards.js';
import {
  findEc2Row,
  idOfAccess,
  insertCredential,
  listCredentials,
  maySeeSecret,
  mayTouch,
  type OpenCredential,
  openCredential,
  parseEc2,
} from './credential.js';

/** An EC2 key pair. */
export interface Ec2Credential {
  readonly access: string;
  readonly secret: string;
  readonly user_id: string;
  readonly tenant_id: string;
  readonly trust_id: string | null;
}

/** As it is shown: without the secret to readers of the system. */
export type ShownEc2Credential = Omit<Ec2Credential, 'secret'> & { readonly secret?: string };

/** An EC2 key pair with what it was made by. */
export interface BoundEc2Credential extends Ec2Credential {
  readonly app_cred_id: string | null;
  readonly access_token_id: string | null;
}

/** Makes an EC2 key pair of a user for a project. A delegated token makes one for its own project that gives no more than it. */
export async function createEc2Credential(
  app: App,
  ctx: Context,
  userId: string,
  projectId: string,
): Promise<Ec2Credential> {
  refuseRestricted(ctx, 'additional application credentials.');
  if (isDelegated(ctx) && projectId !== ctx.projectId) throw outOfReach();
  const { trust, application_credential, oauth1 } = ctx.token;
  const blob = {
    access: randomBytes(16).toString('hex'),
    secret: randomBytes(16).toString('hex'),
    trust_id: trust?.id ?? null,
    ...(application_credential && { app_cred_id: application_credential.id }),
    ...(oauth1 && { access_token_id: oauth1.access_token_id }),
  };
  const row = {
    id: idOfAccess(blob.access),
    user_id: userId,
    project_id: projectId,
    type: 'ec2',
    blob: JSON.stringify(blob),
  };
  const sealed = await app.identity.sealing.seal(row.blob, row.id);
  await app.store.tx(async (tx) => {
    await mustGet(users, tx, userId, 'user');
    await mustGet(projects, tx, projectId, 'project');
    await refuseMore(tx, 'credential', userId, app.config.credential_user_limit);
    await insertCredential(tx, row, sealed);
  });
  const { access, secret, user_id, tenant_id, trust_id } = boundEc2(row);
  return { access, secret, user_id, tenant_id, trust_id };
}

export async function getEc2Credential(
  app: App,
  ctx: Context,
  userId: string,
  access: string,
): Promise<ShownEc2Credential> {
  return shown(ctx, boundEc2(await ownPair(app, ctx, userId, access)));
}

export async function listEc2Credentials(
  app: App,
  ctx: Context,
  userId: string,
): Promise<ShownEc2Credential[]> {
  await mustGet(users, app.store.read, userId, 'user');
  const found = await listCredentials(app, { user_id: userId, type: 'ec2' });
  return found.filter((row) => mayTouch(ctx, row)).map((row) => shown(ctx, boundEc2(row)));
}

export async function deleteEc2Credential(
  app: App,
  ctx: Context,
  userId: string,
  access: string,
): Promise<void> {
  const { id } = await ownPair(app, ctx, userId, access);
  await app.store.tx(async (tx) => {
    await mustGet(credentials, tx, id, 'credential');
    await credentials.remove(tx, id);
  });
}

/** The key pair of an access key with its secret, whoever it belongs to; undefined when there is none. */
export async function findEc2Credential(app: App, access: string): Promise<BoundEc2Credential | undefined> {
  const row = await findEc2Row(app.store.read, access);
  return row && boundEc2(await openCredential(app, row));
}

async function ownPair(app: App, ctx: Context, userId: string, access: string): Promise<OpenCredential> {
  const row = await findEc2Row(app.store.read, access);
  if (row?.user_id !== userId) throw missing('credential', access);
  const pair = await openCredential(app, row);
  if (!mayTouch(ctx, pair)) throw outOfReach();
  return pair;
}

function boundEc2({ blob, user_id, project_id }: OpenCredential): BoundEc2Credential {
  const parsed = parseEc2(blob);
  const text = (name: string) => (typeof parsed[name] === 'string' ? (parsed[name] as string) : null);
  return {
    access: parsed.access,
    secret: text('secret') ?? '',
    user_id,
    tenant_id: project_id ?? '',
    trust_id: text('trust_id'),
    app_cred_id: text('app_cred_id'),
    access_token_id: text('access_token_id'),
  };
}

function shown(
  ctx: Context,
  { access, secret, user_id, tenant_id, trust_id }: BoundEc2Credential,
): ShownEc2Credential {
  return { access, ...(maySeeSecret(ctx, user_id) && { secret }), user_id, tenant_id, trust_id };
}

function outOfReach() {
  return forbiddenAction('EC2 credential project does not match the project scope of the delegated token');
}
