import type { Config } from '../../config.js';
import { isSharedImage } from '../../core/image/visibility.js';
import type { Service } from '../shared/service.js';
import { discoveryOperations } from './discovery.js';
import { fileOperations } from './files.js';
import { formatImageProblem } from './format.js';
import { imageOperations } from './images.js';
import { memberOperations } from './members.js';
import { imageTarget } from './target.js';

/** The image service (Glance's v2 API), mounted under `/image`. */
export function imageService(config: Config): Service {
  return {
    name: 'image',
    prefix: '/image',
    operations: [...discoveryOperations, ...imageOperations, ...fileOperations, ...memberOperations],
    format: formatImageProblem(`${config.public_url}/identity`),
    rules: { publicize_image: 'role:admin', communitize_image: 'rule:project_member_or_admin' },
    objectTarget: imageTarget,
    isShared: ({ app, ctx }, { id, visibility }) =>
      isSharedImage(app.store.read, ctx, { id: String(id), visibility: String(visibility) }),
    methodNotAllowed: true,
  };
}
