/** What stands in place of a secret. */
export const MASK = '***';

/** The same text with the passwords of its URLs (`scheme://user:password@host`, `…?password=…`) taken out. */
export function withoutPasswords(text: string): string {
  return text
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@'"]*):(?:[^\s/?#'"]*)@/gi, `$1:${MASK}@`)
    .replaceAll(/([?&](?:password|sslpassword)=)[^\s&'"]+/gi, `$1${MASK}`);
}

/** True when a URL has a password in it. */
export function hasPassword(url: string): boolean {
  return withoutPasswords(url) !== url;
}
