import { serverObjects } from '../../desired/server.js';
import { specObject } from '../../protocol/keys.js';
import type { ObjectError } from '../../protocol/messages.js';
import { hostName } from '../../store/compute/hosts.js';
import type { ServerRow } from '../../store/compute/server.js';
import { findReports, type StoredReport } from '../../store/reports.js';
import { nowText, type Tx } from '../../store/store.js';
import type { ServerFault } from './facts.js';

/** What a server's host last said about it. */
export interface HostWord {
  /** Name of the host; its id when it is no longer there, null without any. */
  readonly host: string | null;
  readonly report: StoredReport | null;
  /** The report is about the server as it should be now, not as it was asked for before. */
  readonly current: boolean;
}

/** Reads what the server's host last said. */
export async function wordOfHost(tx: Tx, server: ServerRow): Promise<HostWord> {
  if (server.host_id === null) return { host: null, report: null, current: false };
  const host = (await hostName(tx, server.host_id)) ?? server.host_id;
  const [report] = await findReports(tx, server.host_id, [`server/${server.id}`]);
  if (!report) return { host, report: null, current: false };
  const object = (await serverObjects(tx, [server])).get(server.id)!;
  return { host, report, current: report.revision === specObject<'server'>(object).revision };
}

/** An agent's error in the form in which servers show it: the message first, the command and its words as details. */
export function faultFrom(error: ObjectError, host: string | null): ServerFault {
  const details = [
    host && `Host: ${host}`,
    error.command && `Command: ${error.command}`,
    error.exit_code !== undefined && error.exit_code !== null && `Exit code: ${error.exit_code}`,
    error.stderr && `Stderr: ${error.stderr}`,
    error.hint && `Hint: ${error.hint}`,
  ].filter((line) => typeof line === 'string');
  return fault(error.message.slice(0, 1000), details.join('\n'));
}

export function fault(message: string, details: string): ServerFault {
  return { code: 500, message, details, created: nowText() };
}

/** Message and details in one text. */
export function faultText({ message, details }: ServerFault): string {
  return [message, details].filter(Boolean).join('\n');
}
