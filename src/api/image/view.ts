import type { FullImage, ImageMemberRow } from '../../store/image.js';
import { inSeconds } from '../shared/times.js';

/** An image as Glance shows it: not enveloped, custom properties at the top level. */
export function imageView(image: FullImage): Record<string, unknown> {
  const self = `/v2/images/${image.id}`;
  return {
    ...image.properties,
    name: image.name,
    disk_format: image.disk_format,
    container_format: image.container_format,
    visibility: image.visibility,
    size: image.size,
    virtual_size: image.virtual_size,
    status: image.status,
    checksum: image.checksum,
    protected: image.protected === 1,
    min_ram: image.min_ram,
    min_disk: image.min_disk,
    owner: image.owner,
    os_hidden: image.os_hidden === 1,
    os_hash_algo: image.sha512 ? 'sha512' : null,
    os_hash_value: image.sha512,
    id: image.id,
    created_at: inSeconds(image.created_at),
    updated_at: inSeconds(image.updated_at),
    tags: image.tags,
    self,
    file: `${self}/file`,
    schema: '/v2/schemas/image',
  };
}

export function memberView(member: ImageMemberRow): Record<string, unknown> {
  return {
    member_id: member.member_id,
    image_id: member.image_id,
    status: member.status,
    created_at: inSeconds(member.created_at),
    updated_at: inSeconds(member.updated_at),
    schema: '/v2/schemas/member',
  };
}
