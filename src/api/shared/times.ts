/** Stored times (ISO 8601, milliseconds, `Z`) in the notations of the services. */

/** `2026-01-31T09:27:57Z`. */
export function inSeconds(time: string): string {
  return `${time.slice(0, 19)}Z`;
}

/** `2026-01-31T09:27:57.000000`: without a zone, and cut to whole seconds, as Nova's database gives them. */
export function inWholeMicroseconds(time: string): string {
  return `${time.slice(0, 19)}.000000`;
}

/** `2026-01-31T09:27:57.123000`: without a zone, as Cinder's. */
export function inMicroseconds(time: string): string {
  return time.replace(/\.(\d{3})Z$/, '.$1000');
}
