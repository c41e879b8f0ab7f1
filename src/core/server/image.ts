import type { FullImage } from '../../store/image.js';
import type { Reader } from '../../store/store.js';
import type { Context } from '../context.js';
import { badRequest, MaruError } from '../errors.js';
import { visibleImage } from '../image/visibility.js';
import type { ServerFlavor, ServerImage } from './facts.js';

const GIB = 1024 ** 3;

/** The image a server is to be made from; 400 when there is none, or it cannot be booted with the flavor. */
export async function imageForServer(
  db: Reader,
  ctx: Context,
  imageId: string,
  flavor: ServerFlavor,
): Promise<ServerImage> {
  const image = await find(db, ctx, imageId);
  if (image.status !== 'active') throw badRequest(`Image ${imageId} is not active.`);
  if (image.unbootable_reason) {
    throw badRequest(`Image ${imageId} is unacceptable: ${image.unbootable_reason}`);
  }
  const { disk_format, size, virtual_size, sha512 } = image;
  if (!disk_format || !['qcow2', 'raw', 'iso'].includes(disk_format)) {
    throw badRequest(`Image ${imageId} is unacceptable: servers cannot boot from disk format ${disk_format}`);
  }
  if (size === null || sha512 === null) throw badRequest(`Image ${imageId} is not active.`);
  if (flavor.ram < image.min_ram) throw badRequest("Flavor's memory is too small for requested image.");
  const bytes = virtual_size ?? size;
  if (flavor.disk > 0 && disk_format !== 'iso') {
    checkDisk("Flavor's disk is too small for requested image.", flavor.disk * GIB, bytes);
    if (flavor.disk < image.min_disk) {
      const minimum = image.min_disk * GIB;
      throw badRequest(
        `Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is ${flavor.disk * GIB} bytes, minimum size is ${minimum} bytes.`,
      );
    }
  }
  return {
    id: image.id,
    name: image.name ?? '',
    disk_format,
    size,
    virtual_size: bytes,
    sha512,
    min_disk: image.min_disk,
    min_ram: image.min_ram,
    properties: image.properties,
  };
}

async function find(db: Reader, ctx: Context, id: string): Promise<FullImage> {
  try {
    return await visibleImage(db, ctx, id);
  } catch (error) {
    if (error instanceof MaruError && error.code === 'not-found') {
      throw badRequest('Can not find requested image');
    }
    throw error;
  }
}

function checkDisk(what: string, flavorBytes: number, imageBytes: number): void {
  if (imageBytes <= flavorBytes) return;
  throw badRequest(`${what} Flavor disk is ${flavorBytes} bytes, image is ${imageBytes} bytes.`);
}
