import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';

export const MIN_VERSION = '3.0';
export const MAX_VERSION = '3.70';

export const discoveryOperations: readonly Operation[] = [
  versions('', 300),
  versions('/', 300),
  versions('/v3/', 200),
  {
    method: 'GET',
    path: '/v3',
    policy: null,
    summary: 'Redirect to the version root',
    status: 302,
    handler: ({ baseUrl }) =>
      new OpReply(302, undefined, { location: `${baseUrl}/v3/`, 'content-type': 'text/plain' }),
  },
  {
    method: 'GET',
    path: '/v3/:project_id/extensions',
    policy: { name: 'volume_extension:list_extensions', rule: '@' },
    summary: 'List extensions',
    status: 200,
    handler: () => ({ extensions: EXTENSIONS }),
  },
];

/** What works of the API's optional parts. */
const EXTENSIONS = [
  ['VolumeImageMetadata', 'os-vol-image-meta', 'Show image metadata associated with the volume.'],
  ['UsedLimits', 'os-used-limits', 'Provide data on limited resources that are being used.'],
  ['TypesManage', 'os-types-manage', 'Types manage support.'],
  ['Quotas', 'os-quota-sets', 'Quota management support.'],
  ['AvailabilityZones', 'os-availability-zone', 'Describe Availability Zones.'],
  ['Services', 'os-services', 'Services support.'],
  [
    'VolumeTenantAttribute',
    'os-vol-tenant-attr',
    'Expose the internal project_id as an attribute of a volume.',
  ],
  ['VolumeHostAttribute', 'os-vol-host-attr', 'Expose host as an attribute of a volume.'],
  [
    'VolumeMigStatusAttribute',
    'os-vol-mig-status-attr',
    'Expose migration_status as an attribute of a volume.',
  ],
].map(([name, alias, description]) => ({
  name,
  alias,
  description,
  updated: '2012-12-07T00:00:00+00:00',
  links: [],
}));

function versions(path: string, status: number): Operation {
  return { method: 'GET', path, policy: null, summary: 'List API versions', status, handler: listVersions };
}

function listVersions({ baseUrl }: OpRequest): unknown {
  return {
    versions: [
      {
        id: 'v3.0',
        status: 'CURRENT',
        version: MAX_VERSION,
        min_version: MIN_VERSION,
        updated: '2022-08-31T00:00:00Z',
        links: [
          { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/' },
          { rel: 'self', href: `${baseUrl}/v3/` },
        ],
        'media-types': [
          { base: 'application/json', type: 'application/vnd.openstack.volume+json;version=3' },
        ],
      },
    ],
  };
}
