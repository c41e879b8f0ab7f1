import { mustGet } from '../../core/identity/rows.js';
import {
  type ConsumerBody,
  createConsumer,
  deleteConsumer,
  updateConsumer,
} from '../../core/oauth/consumer.js';
import { type ConsumerRow, consumers } from '../../store/identity/oauth.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { collection } from './lists.js';
import { ADMIN, ADMIN_OR_READER, policy } from './policy.js';
import { enveloped, TEXT_OR_NULL } from './schemas.js';

const PATH = '/v3/OS-OAUTH1/consumers';
const BODY = enveloped('consumer', { description: TEXT_OR_NULL });

type Body = { consumer: ConsumerBody };

/** Consumers: programs that users may let act for them by OAuth 1.0a. */
export const consumerOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: PATH,
    policy: policy('create_consumer', ADMIN),
    summary: 'create an OAuth1 consumer',
    body: BODY,
    status: 201,
    async handler({ app, body, baseUrl }: OpRequest<Body>) {
      const { row, secret } = await createConsumer(app, body.consumer);
      return { consumer: { ...view(baseUrl, row), secret } };
    },
  },
  {
    method: 'GET',
    path: PATH,
    policy: policy('list_consumers', ADMIN_OR_READER),
    summary: 'list OAuth1 consumers',
    status: 200,
    async handler(request) {
      const rows = await consumers.list(request.app.store.read);
      return collection(
        request,
        'consumers',
        rows.map((row) => view(request.baseUrl, row)),
      );
    },
  },
  {
    method: 'GET',
    path: `${PATH}/:consumer_id`,
    policy: policy('get_consumer', ADMIN_OR_READER),
    summary: 'show an OAuth1 consumer',
    status: 200,
    async handler({ app, params, baseUrl }) {
      const row = await mustGet(consumers, app.store.read, params.consumer_id!, 'consumer');
      return { consumer: view(baseUrl, row) };
    },
  },
  {
    method: 'PATCH',
    path: `${PATH}/:consumer_id`,
    policy: policy('update_consumer', ADMIN),
    summary: 'change an OAuth1 consumer',
    body: BODY,
    status: 200,
    async handler({ app, params, body, baseUrl }: OpRequest<Body>) {
      return { consumer: view(baseUrl, await updateConsumer(app, params.consumer_id!, body.consumer)) };
    },
  },
  {
    method: 'DELETE',
    path: `${PATH}/:consumer_id`,
    policy: policy('delete_consumer', ADMIN),
    summary: 'delete an OAuth1 consumer with its tokens',
    status: 204,
    handler: ({ app, params }) => deleteConsumer(app, params.consumer_id!),
  },
];

function view(base: string, row: ConsumerRow) {
  return {
    ...(JSON.parse(row.extra) as Record<string, unknown>),
    id: row.id,
    description: row.description,
    links: { self: `${base}${PATH}/${row.id}` },
  };
}
