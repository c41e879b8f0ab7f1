import type { Operation, OpRequest } from '../shared/operation.js';
import { READ_RULE } from './resource.js';

/** `/network/` and `/network/v2.0/`: where clients begin. */
export function discoveryOperations(
  resources: readonly { readonly name: string; readonly plural: string; readonly path: string }[],
): Operation[] {
  const versions = ({ baseUrl }: OpRequest) => ({
    versions: [{ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${baseUrl}/v2.0/` }] }],
  });
  const root = {
    method: 'GET' as const,
    policy: null,
    summary: 'List versions of the network API',
    status: 200,
    handler: versions,
  };
  return [
    { ...root, path: '' },
    { ...root, path: '/' },
    {
      method: 'GET',
      path: '/v2.0/',
      policy: null,
      summary: 'List resources of the network API',
      status: 200,
      handler: ({ baseUrl }) => ({
        resources: resources.map(({ name, plural, path }) => ({
          name,
          collection: plural,
          links: [{ rel: 'self', href: `${baseUrl}/v2.0/${path}` }],
        })),
      }),
    },
    {
      method: 'GET',
      path: '/v2.0/service-providers',
      policy: { name: 'get_service_provider', rule: READ_RULE },
      summary: 'List service providers',
      status: 200,
      handler: () => ({
        service_providers: [{ service_type: 'L3_ROUTER_NAT', name: 'single_node', default: true }],
      }),
    },
  ];
}
