import { describe, expect, test } from 'vitest';
import { ASK_AGAIN_MS, decide, type Situation } from '../../agents/compute/decide.js';
import type { ObservedDomain } from '../../agents/compute/observe.js';
import { newRecord, type ServerRecord } from '../../agents/compute/record.js';
import type { ServerObject } from '../../src/protocol/objects.js';
import { serverObject } from '../support/guests.js';

const NOW = 1_000_000;

function situation(
  server: Partial<ServerObject>,
  record: Partial<ServerRecord> | null,
  domain:
    | (Partial<ObservedDomain> & { readonly hard?: number; readonly soft?: number; readonly epoch?: number })
    | null,
): Situation {
  const body = serverObject(server);
  const ownership = {
    serverId: body.id,
    runEpoch: domain?.epoch ?? 1,
    softReboot: domain?.soft ?? 0,
    hardReboot: domain?.hard ?? 0,
    digest: 'same',
  };
  return {
    server: body,
    record: { ...newRecord('boot-1'), ...(record ?? {}) },
    domain: domain && {
      name: body.instance_name,
      uuid: body.id,
      power: 'running',
      reason: '',
      current: ownership,
      defined: ownership,
      diskFiles: [],
      persistent: true,
      autostart: false,
      definition: '',
      ...domain,
    },
    digest: 'same',
    bootId: 'boot-1',
    now: NOW,
  };
}

const ran = { power: 'running', run_epoch: 1 } as const;
const on = { power: 'running' } as const;
const off = { power: 'shutdown' } as const;
const soon = { stopping: { asked: NOW - 1, deadline: NOW + 1 } };
const deaf = { stopping: { asked: NOW - ASK_AGAIN_MS, deadline: NOW + 1 } };
const late = { stopping: { asked: NOW - ASK_AGAIN_MS, deadline: NOW - 1 } };

describe('power', () => {
  test.each<
    [string, Partial<ServerObject>, Partial<ServerRecord> | null, Parameters<typeof situation>[2], string]
  >([
    ['a new server is started', {}, null, null, 'start'],
    ['a new stopped server stays off', { power: 'stopped' }, null, null, 'none'],
    ['a running guest is left alone', {}, ran, on, 'none'],
    ['an interrupted start is repeated', {}, { ...ran, starting: true }, off, 'start'],
    ['a start that succeeded unnoticed is not repeated', {}, { ...ran, starting: true }, on, 'none'],
    ['a guest that went off by itself stays off', {}, ran, off, 'none'],
    ['a guest whose QEMU was killed stays off', {}, ran, { power: 'crashed' }, 'none'],
    ['a domain that somebody undefined is not started', {}, ran, null, 'none'],
    ['a guest comes back after the host was booted', {}, { ...ran, boot_id: 'boot-0' }, off, 'start'],
    ['a stopped guest does not', { power: 'stopped' }, { ...ran, boot_id: 'boot-0' }, off, 'none'],
    ['a stopped guest is started when that is wanted', {}, { ...ran, power: 'stopped' }, off, 'start'],
    ['a stop asks the guest first', { power: 'stopped' }, ran, on, 'shutdown'],
    ['and waits', { power: 'stopped' }, { ...ran, ...soon }, on, 'wait'],
    ['asks again: it may have been booting', { power: 'stopped' }, { ...ran, ...deaf }, on, 'shutdown'],
    ['but not for ever', { power: 'stopped' }, { ...ran, ...late }, on, 'destroy'],
    ['a paused guest cannot be asked', { power: 'stopped' }, ran, { power: 'paused' }, 'destroy'],
    ['a stop that is taken back waits for the guest to go', {}, { ...ran, ...soon }, on, 'wait'],
    ['and starts it again', {}, { ...ran, ...soon }, off, 'start'],
    ['or forgets it when the guest did not go', {}, { ...ran, ...late }, on, 'none'],
    ['a hard reboot restarts', { reboot: { soft: 0, hard: 1 } }, ran, on, 'restart'],
    ['once', { reboot: { soft: 0, hard: 1 } }, ran, { hard: 1 }, 'none'],
    ['also when the guest had gone', { reboot: { soft: 0, hard: 1 } }, ran, off, 'start'],
    [
      'but then once',
      { reboot: { soft: 0, hard: 1 } },
      { ...ran, reboot: { soft: 0, hard: 1 } },
      off,
      'none',
    ],
    ['a soft reboot asks the guest', { reboot: { soft: 1, hard: 0 } }, ran, on, 'shutdown'],
    ['and waits for it', { reboot: { soft: 1, hard: 0 } }, { ...ran, ...soon }, on, 'wait'],
    ['and asks again', { reboot: { soft: 1, hard: 0 } }, { ...ran, ...deaf }, on, 'shutdown'],
    ['not one that is paused', { reboot: { soft: 1, hard: 0 } }, ran, { power: 'paused' }, 'restart'],
    ['and starts it', { reboot: { soft: 1, hard: 0 } }, { ...ran, ...soon }, off, 'start'],
    ['or forces it', { reboot: { soft: 1, hard: 0 } }, { ...ran, ...late }, on, 'restart'],
    [
      'a stopped guest is not rebooted',
      { power: 'stopped', reboot: { soft: 1, hard: 1 } },
      { ...ran, power: 'stopped' },
      off,
      'none',
    ],
    ['an older epoch is refused', { run_epoch: 1 }, { ...ran, run_epoch: 2 }, off, 'refuse'],
    ['also when only the domain knows the newer', { run_epoch: 1 }, null, { epoch: 2 }, 'refuse'],
  ])('%s', (_name, server, record, domain, expected) => {
    expect(decide(situation(server, record, domain)).power).toBe(expected);
  });
});

test('a definition that is absent or differs is made', () => {
  expect(decide(situation({}, ran, null)).define).toBe(true);
  expect(decide(situation({}, ran, on)).define).toBe(false);
  expect(decide({ ...situation({}, ran, on), digest: 'other' }).define).toBe(true);
});
