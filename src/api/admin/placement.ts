import { type WhatIf, whatIf } from '../../core/scheduler/what-if.js';
import type { Operation, OpRequest } from '../shared/operation.js';

const NAME = { type: 'string', minLength: 1, maxLength: 255 } as const;
const OPTIONAL = { type: ['string', 'null'], minLength: 1, maxLength: 255 } as const;
const NAMES = { type: 'array', maxItems: 64, items: NAME } as const;
/** Each of them is placed in thought, one after another. */
const MOST = 200;

interface Body {
  flavor: string;
  image?: string | null;
  networks?: string[];
  ports?: string[];
  availability_zone?: string | null;
  host?: string | null;
  hints?: { group?: string | null; same_host?: string[]; different_host?: string[] };
  project?: string | null;
  count?: number;
}

/** Where servers would go, asked before there are any. */
export const placementOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/v1/placement/explain',
    policy: { name: 'maru:placement:explain', rule: 'rule:context_is_admin' },
    audit: 'none',
    summary: 'Explain where servers would go, host by host, without creating any',
    status: 200,
    body: {
      type: 'object',
      required: ['flavor'],
      properties: {
        flavor: NAME,
        image: OPTIONAL,
        networks: NAMES,
        ports: NAMES,
        availability_zone: OPTIONAL,
        host: OPTIONAL,
        hints: {
          type: 'object',
          properties: { group: OPTIONAL, same_host: NAMES, different_host: NAMES },
          additionalProperties: false,
        },
        project: OPTIONAL,
        count: { type: 'integer', minimum: 1, maximum: MOST },
      },
      additionalProperties: false,
    },
    handler: async ({ app, ctx, body }: OpRequest<Body>) => ({
      explanation: await whatIf(app, ctx, asked(body)),
    }),
  },
];

function asked(body: Body): WhatIf {
  return {
    flavor: body.flavor,
    image: body.image ?? null,
    networks: body.networks ?? [],
    ports: body.ports ?? [],
    availability_zone: body.availability_zone ?? null,
    host: body.host ?? null,
    hints: {
      group: body.hints?.group ?? null,
      same_host: body.hints?.same_host ?? [],
      different_host: body.hints?.different_host ?? [],
    },
    project: body.project ?? null,
    count: body.count ?? 1,
  };
}
