// Loaded into a controller with `node --import`. Its wall clock differs from the machine's by CLOCK_SHIFT_MS; while CUT_FILE holds
// anything, it reaches nothing but UNCUT_PORT (its database); CUT_FILE.seen is made when it has seen a change of that.
import { readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';

const shift = Number(process.env.CLOCK_SHIFT_MS ?? 0);
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shift);
    else super(...args);
  }
  static now() {
    return RealDate.now() + shift;
  }
};

const opened = new Set();
let cut = false;

setInterval(() => {
  let content = '';
  try {
    content = readFileSync(process.env.CUT_FILE ?? '', 'utf8');
  } catch {
    // not made yet
  }
  const before = cut;
  cut = content !== '';
  if (cut) for (const socket of opened) socket.pause();
  if (cut !== before) writeFileSync(`${process.env.CUT_FILE}.seen`, '');
}, 50).unref();

const connect = Socket.prototype.connect;
Socket.prototype.connect = function (...args) {
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof options !== 'object' || String(options.port) === process.env.UNCUT_PORT) {
    return connect.apply(this, args);
  }
  // a network that swallows everything: no answer ever comes
  if (cut) return this;
  opened.add(this);
  this.once('close', () => opened.delete(this));
  return connect.apply(this, args);
};
