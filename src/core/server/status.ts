/** What a server's API status follows from. */
export interface StatusInputs {
  readonly deleted_at: string | null;
  readonly failed: number;
  readonly launched_at: string | null;
  readonly observed_power: string | null;
  readonly task_state: string | null;
}

export type VmState = 'building' | 'active' | 'stopped' | 'paused' | 'suspended' | 'error' | 'deleted';

export interface ServerStatus {
  readonly vm_state: VmState;
  readonly status: string;
}

/** The one place where a server's state and status come from: a pure function of its columns. */
export function computeStatus(server: StatusInputs): ServerStatus {
  const vm_state = vmState(server);
  return { vm_state, status: statusOf(vm_state, server.task_state) };
}

function vmState(server: StatusInputs): VmState {
  if (server.deleted_at) return 'deleted';
  if (server.failed) return 'error';
  if (!server.launched_at) return 'building';
  // a hard reboot passes through "shut off", which is no news to anybody
  if (server.task_state === 'rebooting' || server.task_state === 'rebooting_hard') return 'active';
  switch (server.observed_power) {
    case 'shutdown':
    case 'crashed':
      return 'stopped';
    case 'paused':
      return 'paused';
    case 'suspended':
      return 'suspended';
    default:
      return 'active';
  }
}

const STATUS: Readonly<Record<VmState, string>> = {
  building: 'BUILD',
  active: 'ACTIVE',
  stopped: 'SHUTOFF',
  paused: 'PAUSED',
  suspended: 'SUSPENDED',
  error: 'ERROR',
  deleted: 'DELETED',
};

function statusOf(vmState: VmState, taskState: string | null): string {
  if (vmState === 'active' && taskState === 'rebooting') return 'REBOOT';
  if (vmState === 'active' && taskState === 'rebooting_hard') return 'HARD_REBOOT';
  return STATUS[vmState];
}

/** Statuses by which lists can be filtered, and the states they stand for. */
export const STATES_OF_STATUS: Readonly<Record<string, VmState>> = {
  BUILD: 'building',
  ACTIVE: 'active',
  REBOOT: 'active',
  HARD_REBOOT: 'active',
  SHUTOFF: 'stopped',
  PAUSED: 'paused',
  SUSPENDED: 'suspended',
  ERROR: 'error',
  DELETED: 'deleted',
};

/** libvirt's domain state as Nova's number. */
export function powerStateNumber(observed: string | null): number {
  return observed === null ? 0 : (POWER_STATES[observed] ?? 0);
}

const POWER_STATES: Readonly<Record<string, number>> = {
  nostate: 0,
  running: 1,
  paused: 3,
  shutdown: 4,
  crashed: 6,
  suspended: 7,
};
