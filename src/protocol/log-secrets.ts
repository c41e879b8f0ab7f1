import { MASK, withoutUrlPasswords } from './config/secrets.js';

const SECRET_NAME = /password|passwd|secret|private_key|api_key|authorization|^(join_)?token$|_token$/i;

/** A line of a log as JSON: values of fields that are secret by their name, passwords of URLs and private keys are masked. */
export function withoutSecrets(line: Record<string, unknown>): string {
  return masked(
    JSON.stringify(line, (name, value: unknown) => {
      if (typeof value !== 'string') return value;
      if (value !== '' && SECRET_NAME.test(name)) return MASK;
      // value by value: a password may have a quote in it, so in the whole line its end could not be told
      return value.includes('://') ? withoutUrlPasswords(value) : value;
    }),
  );
}

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|(?="))/g;
/** A one-time token of a host. */
const JOIN_TOKEN = /\bmaru1\.[\w-]{16,}/g;

function masked(text: string): string {
  const keyless = text.includes('PRIVATE KEY') ? text.replaceAll(PRIVATE_KEY, MASK) : text;
  return keyless.includes('maru1.') ? keyless.replaceAll(JOIN_TOKEN, MASK) : keyless;
}
