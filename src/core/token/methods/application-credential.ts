import {
  type ApplicationCredentialRow,
  applicationCredentials,
  findApplicationCredential,
} from '../../../store/identity/delegations.js';
import { badRequest } from '../../errors.js';
import { guessOf, isKnown, verifyPassword } from '../../identity/passwords.js';
import { hasExpired } from '../times.js';
import { given, type Prove, resolveUser, unauthorized } from './method.js';

/** An application credential, by its id or by its name and its user, and its secret. */
export const proveApplicationCredential: Prove = async (app, identity, { address }) => {
  const {
    id,
    name,
    user: reference,
    secret,
  } = given(identity.application_credential, 'application_credential');
  const db = app.store.read;
  let credential: ApplicationCredentialRow | undefined;
  if (id !== undefined) {
    credential = await applicationCredentials.get(db, id);
  } else if (name !== undefined && reference) {
    const user = await resolveUser(app, reference);
    credential = user && (await findApplicationCredential(db, user.id, name));
  } else {
    throw badRequest('An application credential is named by its id, or by its name and its user.');
  }
  const key = `application_credential/${id ?? credential?.id ?? name}/${address}`;
  const stored = credential?.secret_hash ?? null;
  const verify = () => verifyPassword(stored, secret, address);
  const proved = isKnown(stored, secret)
    ? await verify()
    : await app.identity.throttle.run(key, verify, guessOf(secret));
  if (!credential || !proved || hasExpired(credential.expires_at)) throw unauthorized();
  return {
    userId: credential.user_id,
    credential,
    scope: { kind: 'project', id: credential.project_id },
  };
};
