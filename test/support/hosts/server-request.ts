/** A cloud whose APIs can be called. */
interface Callable {
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
}

/** What a request for a server says. */
export interface ServerRequest {
  readonly name: string;
  readonly imageRef: string;
  readonly flavorRef: string;
  readonly networks: readonly { readonly uuid: string }[];
}

/** Uploads an image and makes a network with a subnet; gives a request for a server with them. */
export async function serverRequest(cloud: Callable): Promise<ServerRequest> {
  const image = await uploadImage(cloud);
  const { network } = await cloud.call<{ network: { id: string } }>('POST', '/network/v2.0/networks', {
    network: { name: 'n' },
  });
  await cloud.call('POST', '/network/v2.0/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.0.0.0/24' },
  });
  return {
    name: 's',
    imageRef: image,
    flavorRef: await tinyFlavor(cloud),
    networks: [{ uuid: network.id }],
  };
}

/** Uploads an image of some kilobytes; gives its id. */
export async function uploadImage(cloud: Callable): Promise<string> {
  const { id } = await cloud.call<{ id: string }>('POST', '/image/v2/images', {
    name: 'tiny',
    disk_format: 'raw',
    container_format: 'bare',
  });
  await cloud.call('PUT', `/image/v2/images/${id}/file`, new Uint8Array(100_000).fill(7));
  return id;
}

/** The id of flavor m1.tiny. */
export async function tinyFlavor(cloud: Callable): Promise<string> {
  const { flavors } = await cloud.call<{ flavors: { id: string; name: string }[] }>(
    'GET',
    '/compute/v2.1/flavors',
  );
  return flavors.find(({ name }) => name === 'm1.tiny')!.id;
}
