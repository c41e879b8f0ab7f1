import { capacityOf } from '../../core/allocation/claim.js';
import { badRequest } from '../../core/errors.js';
import { readCapacities } from '../../store/compute/placement.js';
import { atLeast } from '../shared/microversion.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { listProviders } from './load.js';
import { parseResources, read } from './operations.js';
import { traitsOf } from './view.js';

/** Where a request for resources could be met now. */
export const candidateOperations: readonly Operation[] = [
  read(
    '/allocation_candidates',
    'allocation_candidates:list',
    'rule:context_is_admin',
    'List where resources could be allocated',
    candidates,
    '1.10',
  ),
];

async function candidates({ app, version, query }: OpRequest) {
  if (typeof query.resources !== 'string') {
    throw badRequest("Invalid query string parameters: 'resources' is a required property");
  }
  const wanted = parseResources(query.resources);
  const required = [query.required ?? []].flat().flatMap((text) => text.split(','));
  const limit = query.limit === undefined ? Number.POSITIVE_INFINITY : Number(query.limit);
  if (!(limit >= 1)) throw badRequest(`Invalid query string parameters: limit ${query.limit}`);
  const capacities = await readCapacities(app.store.read);
  const fitting = (await listProviders(app))
    .filter((provider) => {
      const classes = capacities.get(provider.summary.host.id);
      const traits = traitsOf(provider);
      const room = Object.entries(wanted).every(([name, amount]) => {
        const inventory = classes?.get(name);
        return inventory && amount <= inventory.max_unit && inventory.used + amount <= capacityOf(inventory);
      });
      return (
        room && required.every((t) => (t.startsWith('!') ? !traits.includes(t.slice(1)) : traits.includes(t)))
      );
    })
    .slice(0, limit);
  const summaries: Record<string, unknown> = {};
  for (const provider of fitting) {
    const { id } = provider.summary.host;
    const resources: Record<string, unknown> = {};
    for (const [name, inventory] of capacities.get(id) ?? []) {
      if (!atLeast(version, '1.27') && !(name in wanted)) continue;
      resources[name] = { capacity: capacityOf(inventory), used: inventory.used };
    }
    summaries[id] = {
      resources,
      ...(atLeast(version, '1.17') ? { traits: traitsOf(provider) } : {}),
      ...(atLeast(version, '1.29') ? { parent_provider_uuid: null, root_provider_uuid: id } : {}),
    };
  }
  const requests = fitting.map(({ summary }) => {
    const { id } = summary.host;
    if (!atLeast(version, '1.12')) {
      return { allocations: [{ resource_provider: { uuid: id }, resources: wanted }] };
    }
    const mappings = atLeast(version, '1.34') ? { mappings: { '': [id] } } : {};
    return { allocations: { [id]: { resources: wanted } }, ...mappings };
  });
  return { allocation_requests: requests, provider_summaries: summaries };
}
