import type { App } from '../../core/app.js';
import type { Service } from '../shared/service.js';
import { keystoneProblem } from './problem.js';
import { tokenOperations } from './tokens.js';
import { versionOperations } from './versions.js';

/** The identity service (Keystone, v3). */
export function identityService(app: App): Service {
  return {
    name: 'identity',
    prefix: '/identity',
    operations: [...versionOperations, ...tokenOperations],
    format: (problem, request) => keystoneProblem(problem, request, app.config.public_url),
    aliases: (path) => (path === '/v3' ? ['/v3/'] : []),
    methodNotAllowed: true,
  };
}
