import { computeHosts, setForcedDown } from '../../store/compute/hosts.js';
import { updateHost } from '../../store/hosts.js';
import type { App } from '../app.js';
import { notFound } from '../errors.js';

/** What an administrator says about the compute service of a host; what is undefined stays. */
export interface ServiceChange {
  readonly enabled?: boolean | undefined;
  readonly disabledReason?: string | null | undefined;
  readonly forcedDown?: boolean | undefined;
}

/** Changes the compute service of the host with this name, or whose service has this id. Gives the host's name. */
export async function changeService(app: App, nameOrId: string, change: ServiceChange): Promise<string> {
  return await app.store.tx(async (tx) => {
    const host = (await computeHosts(tx)).find(
      ({ name, service_id }) => name === nameOrId || service_id === nameOrId,
    );
    if (!host) throw notFound(`Could not find binary nova-compute on host ${nameOrId}.`);
    if (change.enabled !== undefined) {
      const reason = change.enabled ? null : (change.disabledReason ?? null);
      await updateHost(tx, host.id, { enabled: change.enabled ? 1 : 0, disabled_reason: reason });
    }
    if (change.forcedDown !== undefined) await setForcedDown(tx, host.id, change.forcedDown);
    return host.name;
  });
}
