import type { App } from '../core/app.js';
import { adminService } from './admin/service.js';
import { computeService } from './compute/service.js';
import { identityService } from './identity/service.js';
import { imageService } from './image/service.js';
import { networkService } from './network/service.js';
import { placementService } from './placement/service.js';
import type { Service } from './shared/service.js';
import { volumeService } from './volume/service.js';

/** Every service of the cloud, as mounted in one API. Declaring them takes the configuration only. */
export function allServices(app: Pick<App, 'config'>): readonly Service[] {
  return [
    identityService(app),
    imageService(app.config),
    computeService(app.config),
    placementService(app.config),
    networkService,
    volumeService(app.config),
    adminService(),
  ];
}
