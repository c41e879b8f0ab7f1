import { inSeconds } from '../shared/times.js';
import type { Attributes } from './attributes.js';
import { text, textOrEmpty } from './converters.js';
import type { Filters } from './list-query.js';

/** Attributes that every resource has, and how they are shown and filtered. */
export const STANDARD_ATTRIBUTES: Attributes = {
  id: {},
  name: { post: true, put: true, convert: textOrEmpty(), fallback: '' },
  description: { post: true, put: true, convert: textOrEmpty(), fallback: '' },
  // read apart from the rest: see attributes.ts
  tenant_id: { post: true, convert: text() },
  project_id: { post: true, convert: text() },
  revision_number: {},
  created_at: {},
  updated_at: {},
  tags: {},
};

export const STANDARD_FILTERS: Filters = {
  id: { column: 'id', type: 'text' },
  name: { column: 'name', type: 'text' },
  description: { column: 'description', type: 'text' },
  tenant_id: { column: 'project_id', type: 'text' },
  project_id: { column: 'project_id', type: 'text' },
  revision_number: { column: 'revision_number', type: 'integer' },
};

interface StandardRow {
  readonly id: string;
  readonly project_id: string;
  readonly description: string;
  readonly revision_number: number;
  readonly created_at: string;
  readonly updated_at: string;
}

/** The last part of every resource's JSON. */
export function standardView(row: StandardRow, tags: ReadonlyMap<string, string[]>) {
  return {
    description: row.description,
    tags: tags.get(row.id) ?? [],
    created_at: inSeconds(row.created_at),
    updated_at: inSeconds(row.updated_at),
    revision_number: row.revision_number,
    tenant_id: row.project_id,
    project_id: row.project_id,
  };
}

export function ids(rows: readonly { readonly id: string }[]): string[] {
  return rows.map((row) => row.id);
}
