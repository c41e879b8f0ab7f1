const SECRET_NAME = /password|passwd|secret|private_key|api_key|authorization|^(join_)?token$|_token$/i;
const MASK = '***';

/** A line of a log as JSON: values of fields that are secret by their name, passwords of URLs and private keys are masked. */
export function withoutSecrets(line: Record<string, unknown>): string {
  const text = JSON.stringify(line, (name, value: unknown) =>
    typeof value === 'string' && value !== '' && SECRET_NAME.test(name) ? MASK : value,
  );
  // most lines have neither
  if (text.includes('://')) return masked(text).replaceAll(URL_PASSWORD, `$1:${MASK}@`);
  return masked(text);
}

const URL_PASSWORD = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@'"\\]*):[^\s/?#'"\\]*@/gi;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|(?="))/g;
/** A one-time token of a host. */
const JOIN_TOKEN = /\bmaru1\.[\w-]{16,}/g;

function masked(text: string): string {
  const keyless = text.includes('PRIVATE KEY') ? text.replaceAll(PRIVATE_KEY, MASK) : text;
  return keyless.includes('maru1.') ? keyless.replaceAll(JOIN_TOKEN, MASK) : keyless;
}
