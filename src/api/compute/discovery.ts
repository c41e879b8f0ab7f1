import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';

export const MIN_VERSION = '2.1';
export const MAX_VERSION = '2.96';

interface ApiVersion {
  readonly id: string;
  readonly status: string;
  readonly version: string;
  readonly min_version: string;
  readonly updated: string;
  readonly path: string;
  readonly media: string;
}

const LEGACY: ApiVersion = {
  id: 'v2.0',
  status: 'SUPPORTED',
  version: '',
  min_version: '',
  updated: '2011-01-21T11:33:21Z',
  path: 'v2/',
  media: '2',
};
const CURRENT: ApiVersion = {
  id: 'v2.1',
  status: 'CURRENT',
  version: MAX_VERSION,
  min_version: MIN_VERSION,
  updated: '2013-07-23T11:33:21Z',
  path: 'v2.1/',
  media: '2.1',
};

/** Version documents: what clients ask for first. None needs a token. */
export const discoveryOperations: readonly Operation[] = [
  ...['', '/'].map((path) =>
    discovery(path, 'List API versions', ({ baseUrl }) => ({
      versions: [LEGACY, CURRENT].map((version) => brief(baseUrl, version)),
    })),
  ),
  ...['/v2', '/v2/'].map((path) => discovery(path, 'Show API version 2.0', (r) => full(r.baseUrl, LEGACY))),
  ...['/v2.1', '/v2.1/'].map((path) =>
    discovery(path, 'Show API version 2.1', (r) => full(r.baseUrl, CURRENT)),
  ),
  discovery('/v2.1/versions/:id', 'Show an API version', ({ baseUrl, params }) => {
    const found = [LEGACY, CURRENT].find(({ id }) => id === params.id);
    return found
      ? full(baseUrl, found)
      : new OpReply(404, { itemNotFound: { code: 404, message: 'The resource could not be found.' } });
  }),
];

function discovery(path: string, summary: string, handler: (request: OpRequest) => unknown): Operation {
  return { method: 'GET', path, policy: null, summary, status: 200, handler };
}

function brief(baseUrl: string, { id, status, version, min_version, updated, path }: ApiVersion) {
  const links = [{ rel: 'self', href: `${baseUrl}/${path}` }];
  return { id, status, version, min_version, updated, links };
}

function full(baseUrl: string, version: ApiVersion) {
  const { links, ...rest } = brief(baseUrl, version);
  return {
    version: {
      ...rest,
      links: [...links, { rel: 'describedby', type: 'text/html', href: 'http://docs.openstack.org/' }],
      'media-types': [
        {
          base: 'application/json',
          type: `application/vnd.openstack.compute+json;version=${version.media}`,
        },
      ],
    },
  };
}
