import { badRequest, notFound } from '../../../core/errors.js';
import { visibleServer } from '../../../core/server/find.js';
import { findServerAction, listServerActions, type ServerActionRow } from '../../../store/compute/action.js';
import { hostName } from '../../../store/compute/hosts.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { nextLinks, readPage } from '../paging.js';
import { policy, READER } from '../policy.js';
import { readTime } from './filters.js';
import { hostIdOf, microseconds } from './view.js';

/** What was done to one server, the newest first. */
export const instanceActionOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-instance-actions',
    policy: policy('os-instance-actions:list', READER),
    summary: 'List what was done to a server',
    status: 200,
    handler: async (request) => {
      const { app, ctx, params, version } = request;
      const { id } = await visibleServer(app.store.read, ctx, params.server_id!);
      const rows = await listServerActions(app.store.read, id);
      if (!atLeast(version, '2.58')) return { instanceActions: rows.map((row) => showAction(row, false)) };
      const { shown, links } = pageOf(request, rows);
      return { instanceActions: shown.map((row) => showAction(row, true)), ...(links ? { links } : {}) };
    },
  },
  {
    method: 'GET',
    path: '/v2.1/servers/:server_id/os-instance-actions/:request_id',
    policy: policy('os-instance-actions:show', READER),
    summary: 'Show something that was done to a server',
    status: 200,
    handler: instanceAction,
  },
];

/** Actions changed within the times asked for, after the marker (a request id), at most as many as asked for. */
function pageOf(request: OpRequest, rows: readonly ServerActionRow[]) {
  const { query, params, version } = request;
  const { limit, marker } = readPage(query);
  const since = readTime('changes-since', lastValue(query['changes-since']));
  const before = atLeast(version, '2.66')
    ? readTime('changes-before', lastValue(query['changes-before']))
    : null;
  if (since !== null && before !== null && since > before)
    throw badRequest('The value of changes-since must be less than or equal to changes-before.');
  const start = marker === null ? 0 : rows.findIndex((row) => row.request_id === marker) + 1;
  if (marker !== null && start === 0) throw badRequest(`marker [${marker}] not found`);
  const found = rows
    .slice(start)
    .filter(
      (row) => (since === null || row.updated_at >= since) && (before === null || row.updated_at <= before),
    );
  const shown = found.slice(0, limit);
  const path = `/servers/${params.server_id}/os-instance-actions`;
  return { shown, links: nextLinks(request, path, found.length > shown.length, shown.at(-1)?.request_id) };
}

function showAction(row: ServerActionRow, updated: boolean) {
  return {
    action: row.action,
    instance_uuid: row.server_id,
    request_id: row.request_id,
    user_id: row.user_id,
    project_id: row.project_id,
    start_time: microseconds(row.start_time),
    message: row.message,
    ...(updated ? { updated_at: microseconds(row.updated_at) } : {}),
  };
}

async function instanceAction({ app, ctx, params, version }: OpRequest) {
  const db = app.store.read;
  const { id, project_id, host_id } = await visibleServer(db, ctx, params.server_id!);
  const row = await findServerAction(db, id, params.request_id!);
  if (!row) throw notFound(`Action for request_id ${params.request_id} on instance ${id} not found`);
  const shown = showAction(row, atLeast(version, '2.58'));
  const details = ctx.allows('os_compute_api:os-instance-actions:events:details');
  if (!details && !atLeast(version, '2.51')) return { instanceAction: shown };
  const host = row.host ?? (await hostName(db, host_id));
  const event = {
    event: row.event,
    start_time: microseconds(row.start_time),
    finish_time: microseconds(row.finish_time),
    result: row.result,
    ...(details ? { traceback: row.details } : atLeast(version, '2.51') ? { traceback: null } : {}),
    ...(atLeast(version, '2.62')
      ? { hostId: host === null ? '' : hostIdOf(project_id, host), ...(details ? { host } : {}) }
      : {}),
    ...(atLeast(version, '2.84') ? { details: row.details?.split('\n')[0] ?? null } : {}),
  };
  return { instanceAction: { ...shown, events: [event] } };
}
