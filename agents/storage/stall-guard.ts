import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Passes a stream on, and fails it when no byte comes for `idleMs`: a transfer that hangs would hold its disks up for ever. */
export function failOnStall(source: NodeJS.ReadableStream, idleMs: number): NodeJS.ReadableStream {
  const stalled = () => guard.destroy(new Error(`no byte came for ${idleMs / 1000} s`));
  let timer = setTimeout(stalled, idleMs);
  const guard = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      clearTimeout(timer);
      timer = setTimeout(stalled, idleMs);
      done(null, chunk);
    },
  });
  // either end's failure ends the other; who reads the guard learns of it there
  pipeline(source, guard)
    .catch(() => {})
    .finally(() => clearTimeout(timer));
  return guard;
}
