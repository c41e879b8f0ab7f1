/** A time as tokens print it: whole seconds with six zeros, `2026-01-31T09:27:57.000000Z`. */
export function timeText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.000000Z`;
}
