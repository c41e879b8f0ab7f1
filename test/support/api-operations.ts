import type { Operation, Schema } from '../../src/api/shared/operation.js';
import type { Service } from '../../src/api/shared/service.js';

/** The newest microversions of the services that have any. */
export const NEWEST = { 'openstack-api-version': 'compute latest, volume latest, placement latest' };

/** The path of an operation, with the same id in each place. */
export function urlOf(service: Service, operation: Operation, id: string): string {
  return service.prefix + operation.path.replace(/:[A-Za-z_]+|\*/g, id);
}

/** Of an operation with schemas for several microversions the newest. */
export function newestSchema({ body }: Operation): Schema | undefined {
  if (!Array.isArray(body)) return body as Schema | undefined;
  return (body as readonly (readonly [string, Schema])[]).at(-1)?.[1];
}
