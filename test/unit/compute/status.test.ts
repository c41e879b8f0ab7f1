import { describe, expect, it } from 'vitest';
import { pattern } from '../../../src/api/compute/server/pattern.js';
import type { Context } from '../../../src/core/context.js';
import { chooseHardware } from '../../../src/core/server/hardware.js';
import { hostnameFrom } from '../../../src/core/server/hostname.js';
import { checkLegal, LEGAL, type ServerActionName } from '../../../src/core/server/legal.js';
import { computeStatus, STATES_OF_STATUS } from '../../../src/core/server/status.js';
import type { ServerRow } from '../../../src/store/compute/server.js';

const BASE = { deleted_at: null, failed: 0, launched_at: 't', observed_power: 'running', task_state: null };

describe('a server’s status', () => {
  it('follows from what is wanted, seen and under way', () => {
    const cases: [Partial<typeof BASE> | Record<string, unknown>, string, string][] = [
      [{ launched_at: null, observed_power: null, task_state: 'spawning' }, 'building', 'BUILD'],
      [{}, 'active', 'ACTIVE'],
      [{ task_state: 'powering-off' }, 'active', 'ACTIVE'],
      [{ observed_power: 'shutdown' }, 'stopped', 'SHUTOFF'],
      [{ observed_power: 'crashed' }, 'stopped', 'SHUTOFF'],
      [{ observed_power: 'shutdown', task_state: 'powering-on' }, 'stopped', 'SHUTOFF'],
      [{ observed_power: 'shutdown', task_state: 'rebooting_hard' }, 'active', 'HARD_REBOOT'],
      [{ task_state: 'rebooting' }, 'active', 'REBOOT'],
      [{ observed_power: 'paused' }, 'paused', 'PAUSED'],
      [{ observed_power: 'suspended' }, 'suspended', 'SUSPENDED'],
      [{ failed: 1 }, 'error', 'ERROR'],
      [{ failed: 1, launched_at: null }, 'error', 'ERROR'],
      [{ task_state: 'deleting' }, 'active', 'ACTIVE'],
      [{ deleted_at: 't', failed: 1 }, 'deleted', 'DELETED'],
    ];
    for (const [changes, vm_state, status] of cases) {
      expect(computeStatus({ ...BASE, ...changes })).toEqual({ vm_state, status });
      expect(STATES_OF_STATUS[status]).toBe(vm_state);
    }
  });
});

describe('legal actions', () => {
  const user = { isAdmin: false } as Context;
  const admin = { isAdmin: true } as Context;
  const server = (changes: Record<string, unknown>) =>
    ({ id: 'i', vm_state: 'active', task_state: null, locked: 0, ...changes }) as unknown as ServerRow;

  it('are refused in Nova’s words', () => {
    expect(() => checkLegal(user, server({}), 'start')).toThrow(
      "Cannot 'start' instance i while it is in vm_state active",
    );
    expect(() => checkLegal(user, server({ task_state: 'powering-off' }), 'stop')).toThrow(
      "Cannot 'stop' instance i while it is in task_state powering-off",
    );
    expect(() => checkLegal(user, server({ task_state: 'rebooting' }), 'hard-reboot')).not.toThrow();
    expect(() =>
      checkLegal(user, server({ vm_state: 'building', task_state: 'spawning' }), 'delete'),
    ).not.toThrow();
  });

  it('heed locks, but not an administrator’s', () => {
    for (const action of Object.keys(LEGAL) as ServerActionName[]) {
      const locked = server({ locked: 1, vm_state: action === 'start' ? 'stopped' : 'active' });
      if (LEGAL[action].heedsLock)
        expect(() => checkLegal(user, locked, action)).toThrow('Instance i is locked');
      else expect(() => checkLegal(user, locked, action)).not.toThrow();
      expect(() => checkLegal(admin, locked, action)).not.toThrow();
    }
  });
});

describe('host names', () => {
  it('are made from display names as DNS allows', () => {
    const cases: [string, string][] = [
      ['web1', 'web1'],
      ['My Server_1', 'my-server-1'],
      ['  ünïcode  ', 'unicode'],
      ['...', 'server-id'],
      ['한글', 'server-id'],
      ['a'.repeat(80), 'a'.repeat(63)],
      ['-edge-', 'edge'],
    ];
    for (const [name, hostname] of cases) expect(hostnameFrom(name, 'id')).toBe(hostname);
  });
});

describe('hardware choices', () => {
  it('are taken from images and flavors, the flavor last', () => {
    expect(
      chooseHardware(
        { hw_disk_bus: 'scsi', hw_vif_model: 'e1000', os_distro: 'debian', hw_cpu_cores: '2' },
        { 'hw:cpu_cores': '4', 'aggregate:ssd': 'true' },
        8,
      ),
    ).toEqual({
      hw_disk_bus: 'scsi',
      hw_vif_model: 'e1000',
      hw_cpu_sockets: '2',
      hw_cpu_cores: '4',
      hw_cpu_threads: '1',
    });
    expect(() => chooseHardware({ hw_disk_bus: 'floppy' }, {}, 1)).toThrow(
      /hw_disk_bus: 'floppy' is not one of/,
    );
    expect(() => chooseHardware({ hw_cpu_cores: '3' }, {}, 4)).toThrow(/do not make 4 vCPUs/);
    expect(chooseHardware({ hw_cpu_sockets: '2' }, {}, 4)).toMatchObject({ hw_cpu_cores: '2' });
  });
});

describe('filter patterns', () => {
  it('match anywhere, as regular expressions, but never take for ever', () => {
    expect(pattern('eb')!('web1')).toBe(true);
    expect(pattern('^web[0-9]+$')!('web12')).toBe(true);
    expect(pattern('.*web.*')!('my web server')).toBe(true);
    expect(pattern('web-1\\.example')!('web-1.example')).toBe(true);
    expect(pattern(undefined)).toBeNull();
    for (const bad of ['(a+)+$', '(', 'a**', '([a-z]+)*', '(.*)\\1', `${'a?'.repeat(200)}`]) {
      expect(() => pattern(bad)).toThrow(/Invalid filter pattern/);
    }
  });
});
