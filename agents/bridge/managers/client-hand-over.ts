import type { ManagerPlan, OriginalFile } from '../manager.js';

/** What of a ManagerPlan the hand-over of a DHCP client takes. */
export interface ClientHandOver
  extends Pick<ManagerPlan, 'trialFiles' | 'handBackFirst' | 'handBack' | 'warnings'> {
  readonly dhcp: NonNullable<ManagerPlan['dhcp']>;
  /** Its lease under the bridge's name, so that the client of the next boot asks for the same address. */
  readonly permanent: readonly OriginalFile[];
}

/** Started by a service, a client would be killed when that ends; without systemd's help it is started all the same. */
export function inOwnUnit(argv: readonly string[]): readonly string[] {
  const run = 'timeout -k 5 10 systemd-run --quiet --collect --service-type=forking "$@" || exec "$@"';
  return ['sh', '-c', run, 'sh', ...argv];
}
