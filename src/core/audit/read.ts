import { type AuditFilter, type AuditRow, findAudit, listAudits } from '../../store/audit.js';
import type { App } from '../app.js';
import { notFound } from '../errors.js';

/** One record, as administrators read it. */
export interface AuditRecord {
  readonly id: string;
  readonly at: string;
  /** How many it stands for, and when the last of them was. */
  readonly repeats: number;
  readonly last_at: string;
  readonly service: string;
  readonly action: string;
  /** `unfinished`: it has changed something, and how it was answered is not known. */
  readonly outcome: 'unfinished' | 'succeeded' | 'refused' | 'failed';
  readonly status: number | null;
  readonly reason: string | null;
  readonly request: {
    readonly id: string | null;
    /** The one that the client gave. */
    readonly global_id: string | null;
    readonly method: string | null;
    readonly path: string | null;
  };
  readonly user: (Named & { readonly domain: Named | null }) | null;
  readonly scope: 'project' | 'domain' | 'system' | 'unscoped' | null;
  readonly project: Named | null;
  /** Domain of the project, or that of the scope. */
  readonly domain: Named | null;
  readonly application_credential_id: string | null;
  readonly trust_id: string | null;
  readonly token_audit_id: string | null;
  readonly address: string | null;
  readonly target: {
    readonly type: string | null;
    readonly id: string | null;
    readonly name: string | null;
    readonly project_id: string | null;
  };
  readonly detail: unknown;
}

interface Named {
  readonly id: string;
  readonly name: string | null;
}

/** The latest records that match, newest first, and the id to go on from; null: there are no more. */
export async function listAuditRecords(
  app: App,
  filter: AuditFilter,
  limit: number,
): Promise<{ readonly records: readonly AuditRecord[]; readonly next: string | null }> {
  await settle(app);
  const rows = await listAudits(app.store.read, filter, limit + 1);
  const shown = rows.slice(0, limit);
  return { records: shown.map(view), next: rows.length > limit ? shown.at(-1)!.id : null };
}

/** One record. Throws 404. */
export async function showAuditRecord(app: App, id: string): Promise<AuditRecord> {
  await settle(app);
  const row = await findAudit(app.store.read, id);
  if (!row) throw notFound(`There is no audit record ${id}, or it is no longer kept.`);
  return view(row);
}

/** So that who has just been answered finds the record of it; those of other controllers may take a second. */
async function settle(app: App): Promise<void> {
  // what cannot be stored now is logged, and stored later
  await app.audit.flush().catch(() => {});
}

function view(row: AuditRow): AuditRecord {
  const { outcome, detail } = row;
  return {
    id: row.id,
    at: row.at,
    repeats: row.repeats,
    last_at: row.last_at,
    service: row.service,
    action: row.action,
    outcome: outcome === 'begun' ? 'unfinished' : (outcome as AuditRecord['outcome']),
    status: row.status,
    reason: row.reason,
    request: { id: row.request_id, global_id: row.global_request_id, method: row.method, path: row.path },
    user:
      row.user_id === null
        ? null
        : { id: row.user_id, name: row.user_name, domain: named(row.user_domain_id, row.user_domain_name) },
    scope: row.scope as AuditRecord['scope'],
    project: named(row.project_id, row.project_name),
    domain: named(row.domain_id, row.domain_name),
    application_credential_id: row.application_credential_id,
    trust_id: row.trust_id,
    token_audit_id: row.token_audit_id,
    address: row.address,
    target: {
      type: row.target_type,
      id: row.target_id,
      name: row.target_name,
      project_id: row.target_project_id,
    },
    detail: detail === null ? null : JSON.parse(detail),
  };
}

function named(id: string | null, name: string | null): Named | null {
  return id === null ? null : { id, name };
}
