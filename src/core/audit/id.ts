import { randomBytes } from 'node:crypto';

let lastTime = 0;
let serial = 0;

/** A UUID of version 7: ids of later records sort after it, also those of the same millisecond made by this process. */
export function newAuditId(time = Date.now()): string {
  // a clock that is set back must not put what comes next before what was
  if (time > lastTime) {
    lastTime = time;
    serial = 0;
  } else serial++;
  if (serial > 0xfff) {
    lastTime++;
    serial = 0;
  }
  const random = randomBytes(8);
  random[0] = (random[0]! & 0x3f) | 0x80;
  return uuid(lastTime, serial, random.toString('hex'));
}

/** The lowest id that a record of that time, in milliseconds since 1970, may have. */
export function lowestAuditId(time: number): string {
  return uuid(Math.max(0, time), 0, '8000000000000000');
}

function uuid(time: number, high: number, low: string): string {
  const hex = time.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${high.toString(16).padStart(3, '0')}-${low.slice(0, 4)}-${low.slice(4)}`;
}
