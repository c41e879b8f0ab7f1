import { groupsOfPorts, portsOfServer, setPortGroups } from '../../store/network/port.js';
import { recordChange } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, MaruError, notFound } from '../errors.js';
import { recordPortChange } from '../port/changes.js';
import { resolveGroups } from '../security-group/resolve.js';
import { ownServer } from './find.js';
import { saveServer } from './save.js';

/** Puts all of a server's ports that have port security into one more group. */
export async function addServerGroup(app: App, ctx: Context, id: string, nameOrId: string): Promise<void> {
  await change(app, ctx, id, nameOrId, (groups, wanted) => [...new Set([...groups, wanted])]);
}

/** Takes all of a server's ports out of a group; 404 when none was in it. */
export async function removeServerGroup(app: App, ctx: Context, id: string, nameOrId: string): Promise<void> {
  await change(app, ctx, id, nameOrId, (groups, unwanted) => {
    if (groups.includes(unwanted)) return groups.filter((group) => group !== unwanted);
    throw notFound(`Security group ${nameOrId} not associated with the instance ${id}`);
  });
}

async function change(
  app: App,
  ctx: Context,
  id: string,
  nameOrId: string,
  next: (groups: string[], group: string) => string[],
): Promise<void> {
  await app.store.tx(async (tx) => {
    const server = await ownServer(tx, ctx, id);
    const [group] = await asNotFound(() => resolveGroups(tx, server.project_id, [nameOrId]));
    const ports = (await portsOfServer(tx, id)).filter((port) => port.port_security_enabled === 1);
    if (ports.length === 0) throw badRequest(`Instance ${id} has no port that could have security groups`);
    const rows = await groupsOfPorts(
      tx,
      ports.map((port) => port.id),
    );
    for (const port of ports) {
      const old = rows.filter((row) => row.port_id === port.id).map((row) => row.security_group_id);
      // both the groups it leaves and those it joins have other members now
      await recordPortChange(tx, port);
      await setPortGroups(tx, port.id, next(old, group!));
      await recordPortChange(tx, port);
    }
    await saveServer(tx, server, {});
    await recordChange(tx, 'server', id, ctx.requestId);
  });
}

async function asNotFound<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof MaruError && error.code === 'bad-request') throw notFound(error.message);
    throw error;
  }
}
