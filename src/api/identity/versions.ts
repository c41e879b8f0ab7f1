import { type Operation, OpReply } from '../shared/operation.js';

/** Identity v3 as version documents describe it. */
export function identityVersion(publicUrl: string) {
  return {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${publicUrl}/identity/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  };
}

/** Version discovery: open to everybody. */
export const versionOperations: readonly Operation[] = [
  ...['', '/'].map(
    (path): Operation => ({
      method: 'GET',
      path,
      policy: null,
      summary: 'list versions',
      status: 300,
      handler: ({ app }) =>
        new OpReply(
          300,
          { versions: { values: [identityVersion(app.config.public_url)] } },
          { location: `${app.config.public_url}/identity/v3/`, vary: 'X-Auth-Token' },
        ),
    }),
  ),
  {
    method: 'GET',
    path: '/v3',
    policy: null,
    summary: 'show version 3',
    status: 200,
    handler: ({ app }) => ({ version: identityVersion(app.config.public_url) }),
  },
];
