import type { ServerObject } from '../../src/protocol/objects.js';
import { isOff, type ObservedDomain } from './observe.js';
import type { ServerRecord } from './record.js';

/** Everything that a decision depends on. */
export interface Situation {
  readonly server: ServerObject;
  readonly record: ServerRecord;
  readonly domain: ObservedDomain | null;
  /** Digest that the definition should have. */
  readonly digest: string;
  readonly bootId: string;
  /** Milliseconds. */
  readonly now: number;
}

/**
 * - none: the guest's power is as it should be, or must be left alone
 * - start: bring it up; restart: end it at once and bring it up
 * - shutdown: ask the guest by ACPI; wait: it was asked and may still take until `stopping.deadline`
 * - destroy: end it at once
 * - refuse: another host owns the server
 */
export type PowerAction = 'none' | 'start' | 'restart' | 'shutdown' | 'wait' | 'destroy' | 'refuse';

export interface Decision {
  readonly power: PowerAction;
  /** The definition is absent or differs. */
  readonly define: boolean;
  /** Why, in words for plan and log. */
  readonly why: string;
}

/** Time between two requests to shut down. */
export const ASK_AGAIN_MS = 10_000;

/** What to do now about a server so that its domain becomes what is wanted. Pure. */
export function decide(situation: Situation): Decision {
  const { server, record, domain, digest } = situation;
  const newest = Math.max(record.run_epoch, domain?.current?.runEpoch ?? 0);
  if (server.run_epoch < newest) {
    return { power: 'refuse', define: false, why: `run epoch ${server.run_epoch} is older than ${newest}` };
  }
  const define = domain?.defined?.digest !== digest;
  const [power, why] = !domain || isOff(domain.power) ? whenOff(situation) : whenOn(situation, domain);
  return { power, define, why };
}

function whenOn({ server, record, now }: Situation, domain: ObservedDomain): readonly [PowerAction, string] {
  const { stopping } = record;
  const expired = stopping !== null && now >= stopping.deadline;
  // a guest that is still booting does not hear the first request
  const ask = stopping === null || now >= stopping.asked + ASK_AGAIN_MS;
  if (server.power === 'stopped') {
    if (domain.power !== 'running') return ['destroy', `${domain.power} → shutdown`];
    if (expired) return ['destroy', 'the guest did not shut down in time'];
    return ask ? ['shutdown', 'running → shutdown'] : ['wait', 'the guest is shutting down'];
  }
  const started = domain.current;
  if (started && started.hardReboot < server.reboot.hard)
    return ['restart', `hard reboot ${server.reboot.hard}`];
  if (started && started.softReboot < server.reboot.soft) {
    const why = `soft reboot ${server.reboot.soft}`;
    if (domain.power !== 'running') return ['restart', `${why} of a guest that is ${domain.power}`];
    if (expired) return ['restart', `${why}: the guest did not shut down in time`];
    return ask ? ['shutdown', why] : ['wait', 'the guest is shutting down'];
  }
  // a stop that was taken back: the guest may still follow it, and is started again then
  if (stopping !== null && !expired) return ['wait', 'the guest may still be shutting down'];
  return ['none', ''];
}

function whenOff({ server, record, domain, bootId }: Situation): readonly [PowerAction, string] {
  if (server.power === 'stopped') return ['none', ''];
  const from = domain?.power ?? 'absent';
  const because =
    record.power !== 'running'
      ? ''
      : record.starting
        ? ' (a start was interrupted)'
        : record.stopping !== null
          ? ' (it has shut down for a reboot)'
          : record.boot_id !== bootId
            ? ' (the host was booted)'
            : record.reboot.hard < server.reboot.hard || record.reboot.soft < server.reboot.soft
              ? ' (reboot)'
              : null;
  // it ran, and went off by itself or was killed: people want to know, not to find it running again
  return because === null ? ['none', ''] : ['start', `${from} → running${because}`];
}
