import { badRequest } from '../../../core/errors.js';

/**
 * A test for a filter that Nova hands to its database as a regular expression, which matches anywhere in the text. Patterns whose
 * matching could take exponential time are refused: they would stop everybody's requests. Null when there is no filter.
 */
export function pattern(text: string | undefined): ((value: string) => boolean) | null {
  if (text === undefined) return null;
  if (!/[\\^$.*+?()[\]{}|]/.test(text)) return (value) => value.includes(text);
  // a repeated group that repeats within, such as (a+)+
  const nested = /[)\]}*+?][*+{]/.test(text.replace(/\\./g, '').replace(/\[[^\]]*\][*+?]?/g, 'x'));
  if (text.length > 255 || nested || /\\\d/.test(text)) {
    throw badRequest(`Invalid filter pattern: ${text} is too complicated`);
  }
  try {
    const expression = new RegExp(text);
    return (value) => expression.test(value.slice(0, 255));
  } catch {
    throw badRequest(`Invalid filter pattern: ${text} is not a regular expression`);
  }
}
