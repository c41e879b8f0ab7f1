import {
  createDomainConfig,
  defaultConfig,
  deleteDomainConfig,
  getDomainConfig,
  passwordRules,
  updateDomainConfig,
} from '../../core/domain-config/domain-config.js';
import type { DomainConfig } from '../../core/domain-config/options.js';
import { type Operation, OpReply, type OpRequest, type Schema } from '../shared/operation.js';
import { ADMIN, ADMIN_OR_READER, ANYBODY, policy } from './policy.js';

const CONFIG = '/v3/domains/:domain_id/config';
const DEFAULT = '/v3/domains/config';
const RULES = `${CONFIG}/security_compliance`;
/** All of it, a group, an option. */
const PARTS = ['', '/:group', '/:group/:option'];

const VALUE: Schema = { type: ['string', 'number', 'boolean', 'null', 'array'] };
const GROUPS: Schema = {
  type: 'object',
  additionalProperties: { type: 'object', additionalProperties: VALUE },
};
const OPTIONS: Schema = { type: 'object', additionalProperties: VALUE };

type Body = { config: DomainConfig };

/** What domains set for themselves. */
export const domainConfigOperations: readonly Operation[] = [
  {
    method: 'PUT',
    path: CONFIG,
    policy: policy('create_domain_config', ADMIN),
    summary: 'set the configuration of a domain',
    body: enveloped(GROUPS),
    status: 201,
    async handler({ app, params, body }: OpRequest<Body>) {
      const { created, config } = await createDomainConfig(app, params.domain_id!, body.config);
      return new OpReply(created ? 201 : 200, { config });
    },
  },
  ...PARTS.flatMap((part): Operation[] => [
    {
      method: 'GET',
      path: CONFIG + part,
      policy: policy('get_domain_config', ADMIN_OR_READER),
      summary: 'show what a domain has set',
      status: 200,
      async handler({ app, params }) {
        return { config: await getDomainConfig(app, params.domain_id!, params) };
      },
    },
    {
      method: 'PATCH',
      path: CONFIG + part,
      policy: policy('update_domain_config', ADMIN),
      summary: 'change what a domain has set',
      body: enveloped(part.endsWith(':option') ? OPTIONS : GROUPS),
      status: 200,
      async handler({ app, params, body }: OpRequest<Body>) {
        return { config: await updateDomainConfig(app, params.domain_id!, body.config, params) };
      },
    },
    {
      method: 'DELETE',
      path: CONFIG + part,
      policy: policy('delete_domain_config', ADMIN),
      summary: 'remove what a domain has set',
      status: 204,
      handler: ({ app, params }) => deleteDomainConfig(app, params.domain_id!, params),
    },
    {
      method: 'GET',
      path: `${DEFAULT}${part}/default`,
      policy: policy('get_domain_config_default', ADMIN_OR_READER),
      summary: 'show what domains have that set nothing',
      status: 200,
      handler: ({ params }) => ({ config: defaultConfig(params) }),
    },
  ]),
  ...['', '/:option'].map(
    (part): Operation => ({
      method: 'GET',
      path: RULES + part,
      policy: policy('get_security_compliance_domain_config', ANYBODY),
      summary: 'show the rules for passwords',
      status: 200,
      handler: ({ app, params }) => ({ config: passwordRules(app, params.domain_id!, params.option) }),
    }),
  ),
];

function enveloped(config: Schema): Schema {
  return { type: 'object', required: ['config'], properties: { config } };
}
