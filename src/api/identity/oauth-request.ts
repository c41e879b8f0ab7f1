import type { OauthRequest } from '../../core/oauth/verify.js';
import type { OpRequest } from '../shared/operation.js';

/** A request as OAuth1 signs it: by the public URL, or by that which its Host header gives. */
export function oauthRequest({ app, raw }: OpRequest): OauthRequest {
  const publicUrl = new URL(raw.url, app.config.public_url).href;
  const host = raw.headers.host;
  const urls = new Set([publicUrl]);
  if (host !== undefined && /^[\w.:[\]-]+$/.test(host)) {
    for (const scheme of ['http', 'https']) urls.add(`${scheme}://${host}${raw.url}`);
  }
  return { method: raw.method, urls: [...urls], authorization: raw.headers.authorization };
}
