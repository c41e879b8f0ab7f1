import type { DiskBody, VolumeObject } from '../../src/protocol/objects.js';

/** Where an image's base file is cached. */
export function imageFile(stateDir: string, imageId: string): string {
  return `${stateDir}/images/${imageId}`;
}

/** Directory with everything of one server. */
export function serverDirectory(stateDir: string, serverId: string): string {
  return `${stateDir}/servers/${serverId}`;
}

/** What the guest wrote to its first serial port. */
export function consoleLog(stateDir: string, serverId: string): string {
  return `${serverDirectory(stateDir, serverId)}/console.log`;
}

/** The file of a volume. */
export function volumeFile(stateDir: string, volume: Pick<VolumeObject, 'id' | 'format'>): string {
  return `${stateDir}/volumes/${volume.id}.${volume.format}`;
}

/** The file that the guest opens as this disk; a volume's format comes from its object. */
export function diskFile(
  stateDir: string,
  serverId: string,
  disk: DiskBody,
  volumeFormat: VolumeObject['format'] = 'qcow2',
): { readonly path: string; readonly format: 'qcow2' | 'raw' } {
  const directory = serverDirectory(stateDir, serverId);
  switch (disk.role) {
    case 'root':
      return { path: `${directory}/root.qcow2`, format: 'qcow2' };
    case 'volume':
      return {
        path: volumeFile(stateDir, { id: disk.volume_id ?? '', format: volumeFormat }),
        format: volumeFormat,
      };
    case 'cdrom':
      return { path: imageFile(stateDir, disk.image?.id ?? ''), format: 'raw' };
    default:
      // several ephemeral disks are told apart by their device
      return { path: `${directory}/${disk.role}-${disk.device}.qcow2`, format: 'qcow2' };
  }
}

/** The ISO 9660 file that carries a server's metadata. */
export function configDriveFile(stateDir: string, serverId: string): string {
  return `${serverDirectory(stateDir, serverId)}/config.iso`;
}
