/** Kinds of objects that leave a trail. Apart, so that commands know them without what reads trails. */
export const TRAIL_KINDS = [
  'server',
  'port',
  'network',
  'subnet',
  'router',
  'floating-ip',
  'security-group',
  'volume',
  'image',
  'host',
] as const;
export type TrailKind = (typeof TRAIL_KINDS)[number];

/** Whether things of a kind leave a trail. */
export function isTrailKind(kind: string): kind is TrailKind {
  return (TRAIL_KINDS as readonly string[]).includes(kind);
}
