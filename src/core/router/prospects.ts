import { findHosts } from '../../store/hosts.js';
import { hostsForRouter, hostsOffering, type RouterPlacement } from '../../store/network/router-place.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';

/** Which hosts might have a router. */
export interface Prospects {
  /** None can: each is down, disabled, or has not the provider network. One that was not heard of yet may turn out to be up. */
  readonly hopeless: boolean;
  /** What is waited for, with the hosts that it depends on and what they lack: `for an enabled host …`. */
  readonly words: string;
}

/** Hosts named in words; the rest are counted. */
const NAMED = 5;

/** Looks at the hosts that could have a router, but for `except`. */
export async function prospects(
  db: Reader,
  app: App,
  { physical_network: alias }: Pick<RouterPlacement, 'physical_network'>,
  except: string | null,
): Promise<Prospects> {
  const enabled = (await hostsForRouter(db, alias)).filter((id) => id !== except);
  const offering = alias === null ? enabled : await hostsOffering(db, alias);
  const what = alias === null ? 'room for it' : `provider network '${alias}'`;
  const wanting = offering.filter((id) => id !== except && !(enabled.includes(id) && app.hosts.isUp(id)));
  const names = new Map((await findHosts(db, wanting.slice(0, NAMED))).map(({ id, name }) => [id, name]));
  const lacks = wanting.slice(0, NAMED).map((id) => {
    const lack = !enabled.includes(id) ? 'disabled' : app.hosts.isDown(id) ? 'down' : 'not heard of yet';
    return `${names.get(id) ?? id} is ${lack}`;
  });
  if (wanting.length > NAMED) lacks.push(`${wanting.length - NAMED} more are not ready`);
  return {
    hopeless: enabled.every((id) => app.hosts.isDown(id)),
    words: `for an enabled host with ${what} that is up (${lacks.join(', ') || 'no host has it'})`,
  };
}
