import { MASK } from '../../protocol/config/secrets.js';

/** Names of what nobody else is to know, in bodies and headers of requests. */
export const SECRET_NAME =
  /pass(word|wd|code)?$|password|secret|token$|private_key|user_data|personality|^blob$|authorization|api_key|signature|verifier/i;
const LONGEST_VALUE = 1_000;
const LONGEST = 4_000;

/** Details as JSON, without what is secret by its name, and not too long. */
export function detailText(detail: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(detail, (name, value: unknown) => {
    if (name !== '' && SECRET_NAME.test(name) && value !== null && typeof value !== 'boolean') return MASK;
    return typeof value === 'string' && value.length > LONGEST_VALUE
      ? `${value.slice(0, LONGEST_VALUE)}…`
      : value;
  }).replaceAll('\\u0000', '');
  return text.length > LONGEST ? JSON.stringify({ cut: text.slice(0, LONGEST) }) : text;
}
