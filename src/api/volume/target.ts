import type { PolicyTarget } from '../../core/context.js';
import { findVolume } from '../../store/volume.js';
import type { OpRequest } from '../shared/operation.js';

/** The attributes of the volume that a request is about; undefined when it is about none, or there is none. */
export async function volumeTarget({ app, params }: OpRequest): Promise<PolicyTarget | undefined> {
  const id = params.volume_id;
  const volume = id === undefined ? undefined : await findVolume(app.store.read, id);
  if (!volume) return undefined;
  const { name, project_id, user_id, status, availability_zone } = volume;
  return { id, name, project_id, tenant_id: project_id, user_id, status, availability_zone };
}
