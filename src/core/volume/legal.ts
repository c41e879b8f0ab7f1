import { badRequest } from '../errors.js';

/** Every status a volume can be in. */
export const VOLUME_STATUSES = [
  'creating',
  'available',
  'error',
  'deleting',
  'error_deleting',
  'in-use',
] as const;
export type VolumeStatus = (typeof VOLUME_STATUSES)[number];

/** In which states each action is allowed: drives refusals, hints and tests. */
const LEGAL = {
  delete: ['available', 'error', 'error_deleting'],
} as const satisfies Record<string, readonly VolumeStatus[]>;

export type VolumeAction = keyof typeof LEGAL;

export function legalStates(action: VolumeAction): readonly VolumeStatus[] {
  return LEGAL[action];
}

/** Refuses an action that the volume's status forbids, in Cinder's words. */
export function requireLegal(action: VolumeAction, status: string): void {
  const states = legalStates(action);
  if ((states as readonly string[]).includes(status)) return;
  throw badRequest(
    `Invalid volume: Volume status must be ${states.join(' or ')} and must not be migrating, attached, belong to a group, have snapshots or be disassociated from snapshots after volume transfer.`,
  );
}
