import { parseKey } from '../../protocol/keys.js';
import { hostNames } from '../../store/compute/hosts.js';
import { findServerAnywhere, type ServerRow } from '../../store/compute/server.js';
import { findReportsOf } from '../../store/reports.js';
import type { App } from '../app.js';
import { MaruError } from '../errors.js';
import type { Verdict } from '../scheduler/candidate.js';
import type { ServerFault } from './facts.js';
import { serverNotFound } from './find.js';

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
  /** Every host at the last placement, with the reasons against it. */
  readonly hosts: readonly {
    readonly name: string;
    readonly fits: boolean;
    readonly weight: number;
    readonly reasons: readonly string[];
  }[];
}

/** Explains a server given by id or, when there is only one of it, by name, whosever it is. */
export async function explainServer(app: App, idOrName: string): Promise<ServerExplanation> {
  const db = app.store.read;
  const found = await findServerAnywhere(db, idOrName);
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(', ');
    throw new MaruError('conflict', `More than one server is named ${idOrName}: ${ids}`);
  }
  const server = found[0];
  if (!server) throw serverNotFound(idOrName);
  const names = await hostNames(db);
  const fault = server.fault === null ? null : (JSON.parse(server.fault) as ServerFault);
  const verdicts = server.placement === null ? [] : (JSON.parse(server.placement) as Verdict[]);
  return {
    id: server.id,
    name: server.name,
    status: server.task_state === null ? server.status : `${server.status} (${server.task_state})`,
    host: server.host_id === null ? null : (names.get(server.host_id) ?? server.host_id),
    wants: wants(server),
    fault: fault && [fault.message, fault.details].filter(Boolean).join('\n'),
    observed: await observed(app, server),
    hosts: verdicts.map(({ host, ok, weight, reasons }) => ({
      name: host,
      fits: ok,
      weight: Math.round(weight * 1000) / 1000,
      reasons,
    })),
  };
}

function wants(server: ServerRow): string {
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
