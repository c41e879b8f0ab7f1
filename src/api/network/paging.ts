import type { OpRequest } from '../shared/operation.js';

/** Links to the next and previous page, as Neutron gives them when a limit was asked for. */
export function pagingLinks(
  request: OpRequest,
  resource: { readonly plural: string; readonly path: string },
  rows: readonly { readonly id: string }[],
  limit: number | null,
  reverse: boolean,
): Record<string, unknown> {
  if (limit === null || rows.length === 0) return {};
  const url = `${request.baseUrl}/v2.0/${resource.path}`;
  const links: { rel: string; href: string }[] = [];
  const short = rows.length < limit;
  if (!short || reverse) {
    links.push({ rel: 'next', href: `${url}?${search(request, { marker: rows.at(-1)!.id })}` });
  }
  if (!short || !reverse) {
    const before = { marker: rows[0]!.id, page_reverse: 'True' };
    links.push({ rel: 'previous', href: `${url}?${search(request, before)}` });
  }
  return { [`${resource.plural}_links`]: links };
}

function search(request: OpRequest, more: Readonly<Record<string, string>>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(request.query)) {
    if (key === 'marker' || key === 'page_reverse') continue;
    for (const one of [value].flat()) params.append(key, one);
  }
  for (const [key, value] of Object.entries(more)) params.append(key, value);
  return params.toString();
}
