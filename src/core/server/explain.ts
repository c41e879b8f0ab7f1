import { parseKey } from '../../protocol/keys.js';
import { hostNames } from '../../store/compute/hosts.js';
import { findServerAnywhere, findServers, type ServerRow } from '../../store/compute/server.js';
import { findReportsOf } from '../../store/reports.js';
import type { App } from '../app.js';
import { MaruError } from '../errors.js';
import type { Reason } from '../scheduler/candidate.js';
import { explainPlacement } from '../scheduler/place.js';
import { readRecord } from '../scheduler/record.js';
import { type HostAnswer, hostAnswer, whyFirst } from '../scheduler/what-if.js';
import { type TaskView, taskOf } from '../task/task.js';
import { hintsOf, placementRequest } from './build.js';
import type { ServerFault } from './facts.js';
import { serverNotFound } from './find.js';
import { owedFor } from './owes.js';

/** Why a server is where and how it is, for operators. */
export interface ServerExplanation {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly host: string | null;
  /** What should be, in a few words. */
  readonly wants: string;
  readonly fault: string | null;
  /** What its host last reported. */
  readonly observed: string | null;
  /** What is under way with it, or ended last: who does it, until when, and what it waits for. */
  readonly task: TaskView | null;
  /** What hosts still have to do or report for it. */
  readonly owed: readonly string[];
  /** Its last placement: when, where to, and hosts with the reasons for and against each. */
  readonly placement: {
    readonly at: string;
    readonly host: string | null;
    readonly fitting: number;
    readonly refused: number;
  } | null;
  readonly hosts: readonly {
    readonly name: string;
    readonly fits: boolean;
    readonly weight: number;
    readonly reasons: readonly Reason[];
  }[];
  /** Where it would go if it were placed now, its own capacity counting as free. */
  readonly now: { readonly because: string; readonly hosts: readonly Omit<HostAnswer, 'room'>[] } | null;
}

/**
 * Explains a server given by id or, when there is only one of it, by name, whosever it is; by its id also one that is gone,
 * as long as its row is kept.
 */
export async function explainServer(app: App, idOrName: string): Promise<ServerExplanation> {
  const db = app.store.read;
  const server = await find(app, idOrName);
  const names = await hostNames(db);
  const fault = server.fault === null ? null : (JSON.parse(server.fault) as ServerFault);
  const record = readRecord(server.placement);
  const best = record?.best.map((host) => ({ ...host, fits: true, reasons: [] })) ?? [];
  const against = record?.against.map((host) => ({ ...host, fits: false, weight: 0 })) ?? [];
  return {
    id: server.id,
    name: server.name,
    status: server.task_state === null ? server.status : `${server.status} (${server.task_state})`,
    host: server.host_id === null ? null : (names.get(server.host_id) ?? server.host_id),
    wants: wants(server),
    fault: fault && [fault.message, fault.details].filter(Boolean).join('\n'),
    observed: await observed(app, server),
    task: await taskOf(app, 'server', server.id),
    owed: await owedFor(app, server.id, names),
    placement: record && {
      at: record.at,
      host: record.host,
      fitting: record.fitting,
      refused: record.refused,
    },
    hosts: [...best, ...against].map(({ host, fits, weight, reasons }) => ({
      name: host,
      fits,
      weight: Math.round(weight * 1000) / 1000,
      reasons,
    })),
    now: server.delete_requested_at === null ? await placedNow(app, server) : null,
  };
}

async function find(app: App, idOrName: string): Promise<ServerRow> {
  const found = await findServerAnywhere(app.store.read, idOrName);
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(', ');
    throw new MaruError('conflict', `More than one server is named ${idOrName}: ${ids}`);
  }
  const server = found[0] ?? (await findServers(app.store.read, [idOrName]))[0];
  if (!server) throw serverNotFound(idOrName);
  return server;
}

async function placedNow(app: App, server: ServerRow): Promise<NonNullable<ServerExplanation['now']>> {
  const db = app.store.read;
  const request = await placementRequest(db, server, hintsOf(server));
  const verdicts = await explainPlacement(db, app, request, server.id);
  const hosts = verdicts.map((verdict) => {
    const { room, ...answer } = hostAnswer(verdict, 0);
    return answer;
  });
  return { because: whyFirst(verdicts), hosts };
}

function wants(server: ServerRow): string {
  if (server.deleted_at !== null) return `nothing: deleted since ${server.deleted_at}`;
  if (server.delete_requested_at !== null) return `to be deleted since ${server.delete_requested_at}`;
  const { power, vcpus, memory_mb } = server;
  return `${power}, ${vcpus} vCPU, ${memory_mb} MB, zone ${server.availability_zone ?? 'any'}`;
}

async function observed(app: App, server: ServerRow): Promise<string | null> {
  const reports = await findReportsOf(app.store.read, `server/${server.id}`);
  const report = reports.find(({ host_id }) => host_id === server.host_id) ?? reports[0];
  if (!report) return null;
  const { state, error, reported_at } = report;
  const power = report.observed ? `, power ${report.observed.power_state}` : '';
  const { kind } = parseKey(report.key);
  return `${kind} ${state}${power} at ${reported_at}${error ? `: ${error.message}` : ''}`;
}
