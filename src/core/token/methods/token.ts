import { notFound } from '../../errors.js';
import { given, type Prove } from './method.js';

/** A token that is good; one that is not is a 404, as clients expect. */
export const proveToken: Prove = async (app, identity) => {
  const token = await app.identity.tokens.validate(given(identity.token, 'token').id);
  if (!token) throw notFound('Could not find token.');
  return { userId: token.payload.userId, parent: token.payload };
};
