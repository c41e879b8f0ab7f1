import type { Config } from '../../config.js';
import { badRequest } from '../../core/errors.js';
import { showVersion } from '../shared/microversion.js';
import type { Service } from '../shared/service.js';
import { discoveryOperations, MAX_VERSION, MIN_VERSION } from './discovery.js';
import { formatVolumeProblem } from './format.js';
import { quotaOperations } from './quotas.js';
import { serviceOperations } from './services.js';
import { volumeTarget } from './target.js';
import { typeOperations } from './types.js';
import { volumeOperations } from './volumes.js';

/** The volume service (Cinder's v3 API), mounted under `/volume`. */
export function volumeService(config: Config): Service {
  return {
    name: 'volume',
    prefix: '/volume',
    operations: [
      ...discoveryOperations,
      ...volumeOperations,
      ...typeOperations,
      ...quotaOperations,
      ...serviceOperations,
    ],
    microversions: { type: 'volume', min: MIN_VERSION, max: MAX_VERSION },
    format: formatVolumeProblem(`${config.public_url}/identity`),
    objectTarget: volumeTarget,
    rules: { 'volume:force_delete': 'rule:context_is_admin' },
    headers: (requestId, version) => ({
      'openstack-api-version': `volume ${showVersion(version)}`,
      'x-compute-request-id': requestId,
      vary: 'OpenStack-API-Version',
    }),
    aliases: (path) => (path.startsWith('/v3/:project_id/') ? [path.replace('/:project_id', '')] : []),
    check: ({ ctx, params }) => {
      const inPath = params.project_id;
      if (inPath !== undefined && ctx.projectId !== '' && inPath !== ctx.projectId) {
        throw badRequest('Malformed request url');
      }
    },
  };
}
