import type { VolumeRow, VolumeTypeRow } from '../../store/volume.js';
import { atLeast } from '../shared/microversion.js';
import type { OpRequest } from '../shared/operation.js';
import { inMicroseconds } from '../shared/times.js';

/** A volume with its name and links only. */
export function volumeSummary(volume: VolumeRow, request: OpRequest): Record<string, unknown> {
  return { id: volume.id, name: volume.name, links: links(volume, request.baseUrl) };
}

/** A volume in full, as the request's microversion and its sender's rights have it. */
export function volumeView(volume: VolumeRow, request: OpRequest, created = false): Record<string, unknown> {
  const { version, ctx } = request;
  return {
    id: volume.id,
    status: volume.status,
    size: volume.size_gb,
    availability_zone: volume.availability_zone,
    created_at: inMicroseconds(volume.created_at),
    updated_at: volume.updated_at && inMicroseconds(volume.updated_at),
    name: volume.name,
    description: volume.description,
    volume_type: volume.volume_type,
    ...(atLeast(version, '3.63') ? { volume_type_id: volume.volume_type_id } : {}),
    snapshot_id: null,
    source_volid: null,
    metadata: JSON.parse(volume.metadata),
    links: links(volume, request.baseUrl),
    user_id: volume.user_id,
    bootable: volume.bootable ? 'true' : 'false',
    encrypted: false,
    replication_status: null,
    consistencygroup_id: null,
    multiattach: volume.multiattach === 1,
    attachments: [],
    ...(created || ctx.isAdmin ? { migration_status: null } : {}),
    ...(created ? {} : adminFields(volume, ctx.isAdmin)),
    ...(volume.image_metadata && !created
      ? { volume_image_metadata: JSON.parse(volume.image_metadata) }
      : {}),
    ...(atLeast(version, '3.13') ? { group_id: null } : {}),
    ...(atLeast(version, '3.21') ? { provider_id: null } : {}),
    ...(atLeast(version, '3.48') ? { shared_targets: false, service_uuid: null } : {}),
    ...(atLeast(version, '3.61') && ctx.isAdmin ? { cluster_name: null } : {}),
    ...(atLeast(version, '3.65') ? { consumes_quota: true } : {}),
  };
}

export function typeView(type: VolumeTypeRow, isAdmin: boolean): Record<string, unknown> {
  return {
    id: type.id,
    name: type.name,
    is_public: type.is_public === 1,
    description: type.description,
    extra_specs: JSON.parse(type.extra_specs),
    ...(isAdmin ? { qos_specs_id: null } : {}),
    'os-volume-type-access:is_public': type.is_public === 1,
  };
}

function adminFields(volume: VolumeRow, isAdmin: boolean): Record<string, unknown> {
  return {
    'os-vol-tenant-attr:tenant_id': volume.project_id,
    ...(isAdmin
      ? {
          'os-vol-mig-status-attr:migstat': null,
          'os-vol-mig-status-attr:name_id': null,
          'os-vol-host-attr:host': volume.host && `${volume.host}@local#local`,
        }
      : {}),
  };
}

function links(volume: VolumeRow, baseUrl: string): unknown[] {
  const path = `${volume.project_id}/volumes/${volume.id}`;
  return [
    { rel: 'self', href: `${baseUrl}/v3/${path}` },
    { rel: 'bookmark', href: `${baseUrl}/${path}` },
  ];
}
