/** What a join token tells the agent: where to go, how to know the controller, and the secret that lets it in once. */
export interface JoinToken {
  /** URL of the controller's agent listener; absent: the agent's configuration says it. */
  readonly url?: string;
  readonly secret: string;
  /** SHA-256 fingerprint (hex) of the authority's certificate, so that the first contact cannot be intercepted. */
  readonly ca_sha256: string;
  /** That of the authority which is about to replace it: the token outlives the replacement. */
  readonly next_ca_sha256?: string;
}

const PREFIX = 'maru1.';

/** The text that an operator carries from `maru host token` to `maru agent --join`. */
export function encodeJoinToken(token: JoinToken): string {
  return PREFIX + Buffer.from(JSON.stringify(token)).toString('base64url');
}

/** Throws when the text is not a join token of this version. */
export function decodeJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX)) throw new Error(`not a join token: it must begin with ${PREFIX}`);
  let value: Partial<JoinToken>;
  try {
    value = JSON.parse(Buffer.from(trimmed.slice(PREFIX.length), 'base64url').toString('utf8'));
  } catch {
    throw new Error('damaged join token: was it copied whole?');
  }
  const prints = [value.ca_sha256 ?? '', value.next_ca_sha256 ?? value.ca_sha256 ?? ''];
  if (typeof value.secret !== 'string' || !prints.every((print) => /^[0-9a-f]{64}$/.test(print))) {
    throw new Error('damaged join token: secret or fingerprint missing');
  }
  return value as JoinToken;
}
