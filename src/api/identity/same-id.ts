import { badRequest } from '../../core/errors.js';

/** Refuses (400) a change whose body names another id than its path. */
export function refuseOtherId(changes: object, id: string): void {
  const given = (changes as { readonly id?: unknown }).id;
  if (given !== undefined && given !== null && given !== id) throw badRequest('Cannot change ID');
}
