/** What stands in place of a secret. */
export const MASK = '***';

/** The same text with the passwords of its URLs (`scheme://user:password@host`, `…?password=…`) taken out. */
export function withoutPasswords(text: string): string {
  return withoutUrlPasswords(text).replaceAll(
    /([?&](?:password|sslpassword)=)[^\s&]*[^\s&'"]/gi,
    `$1${MASK}`,
  );
}

/** The same, of `scheme://user:password@host` alone: its time grows with the text's length, whatever is in it. */
export function withoutUrlPasswords(text: string): string {
  return text.replaceAll(URL_PASSWORD, `$1:${MASK}@`);
}

// a scheme has an end: one of any length would be tried from each of the letters of a long path anew
const URL_PASSWORD = /\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/?#@'"]*):[^\s/?#]*@/gi;

/** True when a URL has a password in it. */
export function hasPassword(url: string): boolean {
  return withoutPasswords(url) !== url;
}
