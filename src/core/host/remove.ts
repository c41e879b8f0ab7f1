import { takeServer } from '../../store/compute/server.js';
import {
  contentsOfHost,
  type HostContents,
  hostsOfRouters,
  type OnHost,
  releaseRouters,
} from '../../store/host-contents.js';
import { deleteHost, type HostRow } from '../../store/hosts.js';
import { networksOnHost } from '../../store/network/placed.js';
import { portsOfServer } from '../../store/network/port.js';
import { nowText, recordChange, type Tx } from '../../store/store.js';
import { deleteVolumeRow, findVolume, updateVolume } from '../../store/volume.js';
import { releaseResources } from '../allocation/claim.js';
import type { App } from '../app.js';
import { unbindPort } from '../binding/bind.js';
import type { Context } from '../context.js';
import { conflict } from '../errors.js';
import { placeRouter } from '../router/place.js';
import type { ServerFault } from '../server/facts.js';
import { endAction } from '../server/history.js';
import { saveServer } from '../server/save.js';

/** What became of what was on a host that was removed. */
export interface HostRemoval {
  readonly host: OnHost;
  /** True: things were on it, and were given up. */
  readonly lost: boolean;
  /** In ERROR now: their guests and disks were on the host. */
  readonly servers: readonly OnHost[];
  /** Their data was on the host. */
  readonly volumes: readonly OnHost[];
  /** Where the routers are now; null: no other host will do. */
  readonly routers: readonly (OnHost & { readonly moved_to: string | null })[];
  /** Keys of what the host should have destroyed and has not confirmed. */
  readonly unconfirmed: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Takes a host out of the cloud: from now on it is refused everything. With something on it that is refused (409, with the list)
 * unless `force`, which declares the host lost: its servers go into ERROR, those that it had yet to build are placed anew, those
 * being deleted are gone, its volumes are in error, its routers move, and the addresses held for it may be given out again.
 */
export async function removeHost(
  app: App,
  ctx: Context,
  host: HostRow,
  force: boolean,
): Promise<HostRemoval> {
  const removal = await app.store.tx(async (tx) => {
    const contents = await contentsOfHost(tx, host.id);
    const words = describe(contents);
    if (words !== null && !force) {
      throw conflict(
        `Host ${host.name} still has ${words}. Delete or move that first. If the machine is lost for good, and switched off, remove it with --force: its servers go into ERROR, and what was on its disks is given up.`,
      );
    }
    return await giveUp(app, tx, ctx, host, contents, words !== null);
  });
  const warnings = app.hosts.isUp(host.id)
    ? [`${host.name} still answers: it ends its guests when it next asks, within a few seconds`]
    : removal.lost
      ? [
          `${host.name} must not come up again before its agent can reach this controller, which tells it to stop`,
        ]
      : [];
  await app.hosts.forgetHost(host.id);
  app.log.warn('host removed', {
    host: host.name,
    request_id: ctx.requestId,
    lost: removal.lost,
    servers: removal.servers.length,
    volumes: removal.volumes.length,
  });
  return { ...removal, warnings };
}

async function giveUp(
  app: App,
  tx: Tx,
  ctx: Context,
  host: HostRow,
  contents: HostContents,
  lost: boolean,
): Promise<Omit<HostRemoval, 'warnings'>> {
  const networks = await networksOnHost(tx, host.id);
  const servers: OnHost[] = [];
  for (const one of contents.servers) if (await loseServer(app, tx, host, one.id)) servers.push(one);
  const volumes: OnHost[] = [];
  for (const one of contents.volumes) if (await loseVolume(tx, host, one.id)) volumes.push(one);
  const routers = await releaseRouters(tx, host.id);
  await recordChange(tx, 'host', host.id, ctx.requestId);
  await deleteHost(tx, host.id, lost);
  for (const id of routers) {
    await recordChange(tx, 'router', id, ctx.requestId);
    await placeRouter(tx, app, id);
  }
  for (const id of networks) {
    await recordChange(tx, 'network', id, ctx.requestId);
    await recordChange(tx, 'network-ports', id, ctx.requestId);
  }
  // whoever waits for the host's word on a server waits no longer
  const waiting = [...contents.servers.map(({ id }) => id), ...serversOf(contents.tombstones)];
  for (const id of new Set(waiting)) {
    // the server's row before its task's, as everybody takes them
    await takeServer(tx, id);
    await app.tasks.wake(tx, { kind: 'server', id });
  }
  const places = await hostsOfRouters(tx, routers);
  return {
    host: { id: host.id, name: host.name },
    lost,
    servers,
    volumes,
    routers: contents.routers.map((one) => ({ ...one, moved_to: places.get(one.id) ?? null })),
    unconfirmed: contents.tombstones,
  };
}

/** False: it is being deleted anyway, or was yet to be built: its task, once woken, places it on another host. */
async function loseServer(app: App, tx: Tx, host: HostRow, id: string): Promise<boolean> {
  const server = await takeServer(tx, id);
  if (!server) return false;
  for (const port of await portsOfServer(tx, id)) await unbindPort(tx, port.id);
  await releaseResources(tx, id, host.id);
  if (server.delete_requested_at !== null) return false;
  if (server.launched_at === null && (await isBuilding(app, tx, id))) {
    await saveServer(tx, server, { host_id: null, observed_power: null });
    await recordChange(tx, 'server', id);
    return false;
  }
  // messages are for tenants too: the host is named in the details only
  const message = `The server's host was removed from the cloud as lost, and with it its guest and local disks.`;
  await app.tasks.supersede(tx, { kind: 'server', id }, message);
  const details = `Host: ${host.name}`;
  await endAction(tx, server, host.name, `${message}\n${details}`);
  const fault: ServerFault = { code: 500, message, details, created: nowText() };
  await saveServer(tx, server, {
    host_id: null,
    // what the host may still have of it belongs to nobody
    run_epoch: server.run_epoch + 1,
    failed: 1,
    fault: JSON.stringify(fault),
    task_state: null,
    observed_power: null,
  });
  await recordChange(tx, 'server', id);
  return true;
}

async function isBuilding(app: App, tx: Tx, id: string): Promise<boolean> {
  return (await app.tasks.rows.activeOf(tx, 'server', id))?.kind === 'server.build';
}

/** False: it is being deleted anyway. */
async function loseVolume(tx: Tx, host: HostRow, id: string): Promise<boolean> {
  const volume = await findVolume(tx, id);
  if (!volume) return false;
  await releaseResources(tx, id, host.id);
  if (volume.delete_requested_at !== null) {
    await deleteVolumeRow(tx, id);
    return false;
  }
  const message = `Host ${host.name} was removed from the cloud as lost, and with it this volume's data.`;
  await updateVolume(tx, id, {
    host_id: null,
    status: 'error',
    fault: JSON.stringify({ message }),
    updated_at: nowText(),
  });
  await recordChange(tx, 'volume', id);
  return true;
}

const MOST_NAMED = 10;

/** What is on a host, in words; null: nothing. */
function describe({ servers, volumes, routers, tombstones }: HostContents): string | null {
  const parts = [
    named('server', servers),
    named('volume', volumes),
    named('router', routers),
    named(
      'object to destroy',
      tombstones.map((id) => ({ id, name: '' })),
      'objects to destroy',
    ),
  ].filter((text) => text !== null);
  return parts.length === 0 ? null : parts.join(', ');
}

function named(what: string, list: readonly OnHost[], many = `${what}s`): string | null {
  if (list.length === 0) return null;
  const shown = list.slice(0, MOST_NAMED).map(({ id, name }) => (name ? `${name} ${id}` : id));
  const more = list.length > MOST_NAMED ? ` and ${list.length - MOST_NAMED} more` : '';
  return `${list.length} ${list.length === 1 ? what : many} (${shown.join(', ')}${more})`;
}

function serversOf(keys: readonly string[]): string[] {
  return keys.filter((key) => key.startsWith('server/')).map((key) => key.slice('server/'.length));
}
