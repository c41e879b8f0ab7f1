import { badRequest } from '../../core/errors.js';
import type { Compared } from '../../store/identity/compared.js';
import type { OpRequest } from '../shared/operation.js';
import { parameter } from './lists.js';

const OPERATORS: Readonly<Record<string, Compared['operator']>> = {
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  eq: '=',
  neq: '<>',
};

/**
 * `password_expires_at=lt:2026-01-31T09:27:57Z` of a list of users as a comparison, for `users.list`. Without an operator the times are
 * equal. Users whose passwords do not expire match none. 400 for another operator, or what is no time.
 */
export function passwordExpiry(request: OpRequest): readonly Compared[] {
  const given = parameter(request, 'password_expires_at');
  if (given === undefined) return [];
  const [, name = 'eq', time = given] = /^([a-z]{2,3}):(.*)$/.exec(given) ?? [];
  const operator = OPERATORS[name];
  if (!operator) {
    throw badRequest(
      `The given operator ${name} is not valid. It must be one of the following: 'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'.`,
    );
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$/.test(time)) throw notTime();
  const milliseconds = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(time) ? time : `${time}Z`);
  if (Number.isNaN(milliseconds)) throw notTime();
  return [{ column: 'password_expires_at', operator, value: new Date(milliseconds).toISOString() }];
}

function notTime() {
  return badRequest(
    'Timestamp not in expected format. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.',
  );
}
