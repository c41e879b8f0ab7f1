import { isIP } from 'node:net';
import { PROTOCOL_VERSION } from '../../src/protocol/messages.js';

const KEY = /^(network|dhcp|port|security-group|group-members|router|server|volume)\/.+$/;

/** What is wrong with a push, or null: a damaged or newer controller must not be half understood. */
export function checkSpecPush(value: unknown): string | null {
  if (!isObject(value)) return 'a push must be an object';
  const { protocol, incarnation, sequence, as_of, base, changed, removed, settings, request_ids } = value;
  if (typeof protocol !== 'number' || protocol > PROTOCOL_VERSION + 1 || protocol < PROTOCOL_VERSION - 1) {
    return `protocol ${protocol} is not understood, this agent speaks ${PROTOCOL_VERSION}`;
  }
  if (typeof incarnation !== 'string' || incarnation === '') return 'incarnation must be a text';
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 1)
    return 'sequence must be a positive number';
  if (as_of !== undefined && !Number.isSafeInteger(as_of)) return 'as_of must be a number';
  if (base !== null && typeof base !== 'string') return 'base must be a text or null';
  if (!isObject(changed)) return 'changed must be an object';
  if (!Array.isArray(removed) || !removed.every((key) => typeof key === 'string' && KEY.test(key))) {
    return 'removed must be a list of keys';
  }
  if (!Array.isArray(request_ids) || !request_ids.every((id) => typeof id === 'string')) {
    return 'request_ids must be a list of texts';
  }
  if (settings !== undefined) {
    if (!isObject(settings) || typeof settings.observe_only !== 'boolean' || !isObject(settings.drift)) {
      return 'settings must have observe_only and drift';
    }
  }
  for (const [key, object] of Object.entries(changed)) {
    if (!KEY.test(key)) return `'${key}' is not a key`;
    if (!isObject(object) || typeof object.revision !== 'string' || !isObject(object.body)) {
      return `${key} must have a revision and a body`;
    }
    if (object.tombstone !== undefined && object.tombstone !== true)
      return `${key}: tombstone can only be true`;
  }
  return null;
}

/** What is wrong with a question about addresses, or null. */
export function checkProbe(value: unknown): string | null {
  if (!isObject(value) || !Array.isArray(value.targets)) return 'targets must be a list';
  for (const target of value.targets as unknown[]) {
    if (!isObject(target) || !isObject(target.network)) return 'a target must have a network';
    const { id, type } = target.network;
    if (typeof id !== 'string' || !/^[0-9a-f-]{36}$/.test(id)) return `'${id}' is not the id of a network`;
    if (typeof type !== 'string') return 'a network must have a type';
    const { addresses } = target;
    if (!Array.isArray(addresses) || !addresses.every((one) => typeof one === 'string' && isIP(one) !== 0))
      return 'addresses must be a list of IP addresses';
  }
  return null;
}

/** What is wrong with an orphan's removal, or null. */
export function checkOrphanRemoval(value: unknown): string | null {
  if (!isObject(value)) return 'a removal must be an object';
  if (typeof value.kind !== 'string' || typeof value.name !== 'string') return 'kind and name must be texts';
  if (typeof value.destroy_data !== 'boolean') return 'destroy_data must be true or false';
  return null;
}

/** What is wrong with a wish to put an object right, or null. */
export function checkDriftHeal(value: unknown): string | null {
  if (isObject(value) && typeof value.object === 'string' && KEY.test(value.object)) return null;
  return 'object must be a key';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
