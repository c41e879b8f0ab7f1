import type { Config } from '../../config.js';
import { showVersion } from '../shared/microversion.js';
import type { Operation } from '../shared/operation.js';
import type { Service } from '../shared/service.js';
import { candidateOperations } from './candidates.js';
import { placementFormat } from './format.js';
import { placementOperations } from './operations.js';

const MIN_VERSION = '1.0';
const MAX_VERSION = '1.39';

const root: Omit<Operation, 'path'> = {
  method: 'GET',
  policy: null,
  summary: 'List API versions',
  status: 200,
  handler: () => ({
    versions: [
      {
        id: 'v1.0',
        max_version: MAX_VERSION,
        min_version: MIN_VERSION,
        status: 'CURRENT',
        links: [{ rel: 'self', href: '' }],
      },
    ],
  }),
};

/** The placement service, mounted under `/placement`: capacity as the scheduler sees it. Claims are made by servers only. */
export function placementService(config: Config): Service {
  return {
    name: 'placement',
    prefix: '/placement',
    operations: [
      { ...root, path: '' },
      { ...root, path: '/' },
      ...placementOperations,
      ...candidateOperations,
    ],
    microversions: { type: 'placement', min: MIN_VERSION, max: MAX_VERSION },
    format: placementFormat(`${config.public_url}/identity`, MIN_VERSION, MAX_VERSION),
    headers: (_requestId, version) => ({
      'openstack-api-version': `placement ${showVersion(version)}`,
      vary: 'openstack-api-version',
    }),
  };
}
