import type { PolicyTarget } from '../../core/context.js';
import { findImage } from '../../store/image.js';
import type { OpRequest } from '../shared/operation.js';

/** The attributes of the image that a request is about; undefined when it is about none, or there is none. */
export async function imageTarget({ app, params }: OpRequest): Promise<PolicyTarget | undefined> {
  const { image_id, member_id } = params;
  const image = image_id === undefined ? null : await findImage(app.store.read, image_id);
  if (!image) return undefined;
  const { id, name, owner, visibility, status } = image;
  return { id, name, owner, visibility, status, member_id, project_id: owner, tenant_id: owner };
}
