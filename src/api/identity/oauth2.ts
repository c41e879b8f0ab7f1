import { Readable } from 'node:stream';
import { MaruError } from '../../core/errors.js';
import { authenticate } from '../../core/token/authenticate.js';
import { type Operation, OpReply, type OpRequest } from '../shared/operation.js';

const PATH = '/v3/OS-OAUTH2/token';
/** Far more than a grant type, an id and a secret. */
const LONGEST_FORM = 16 * 1024;
/** Milliseconds for the form to arrive: nobody has shown who they are yet. */
const FORM_TIME = 30_000;
/** RFC 6749, 5.1. */
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' };

/** A refusal as RFC 6749, 5.2 wants it. */
class OauthProblem extends Error {
  readonly status: number;
  readonly error: string;

  constructor(status: number, error: string, description: string) {
    super(description);
    this.status = status;
    this.error = error;
  }
}

/** OAuth 2.0: tokens for client credentials, which are an application credential's id and secret. */
export const oauth2Operations: readonly Operation[] = [
  {
    method: 'POST',
    path: PATH,
    policy: null,
    summary: 'issue a token for OAuth 2.0 client credentials',
    status: 200,
    stream: true,
    audit: { action: 'identity:authenticate', login: true },
    async handler(request) {
      try {
        return await issue(request);
      } catch (error) {
        if (error instanceof OauthProblem) return problem(request, error);
        throw error;
      }
    },
  },
  ...(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const).map(
    (method): Operation => ({
      method,
      path: PATH,
      policy: null,
      audit: 'none',
      summary: 'refuse: only POST issues tokens',
      status: 405,
      handler: (request) =>
        problem(
          request,
          new OauthProblem(405, 'other_error', 'The method is not allowed for the requested URL.'),
        ),
    }),
  ),
];

async function issue(request: OpRequest): Promise<OpReply> {
  const { app, raw } = request;
  const form = await readForm(request);
  const grant = form.get('grant_type');
  if (grant === null) throw new OauthProblem(400, 'invalid_request', 'The parameter grant_type is required.');
  if (grant !== 'client_credentials') {
    throw new OauthProblem(
      400,
      'unsupported_grant_type',
      `The parameter grant_type ${grant} is not supported.`,
    );
  }
  const client = basic(raw.headers.authorization) ?? {
    id: form.get('client_id') ?? '',
    secret: form.get('client_secret') ?? '',
  };
  if (client.id === '' || client.secret === '') throw refused();
  if (`${client.id}${client.secret}`.includes('\0')) throw refused();
  // no longer than in a request for a token
  if (client.id.length > 64 || client.secret.length > 4096) throw refused();
  const identity = { methods: ['application_credential'], application_credential: client };
  const token = await authenticate(app, { identity }, { address: raw.maru.address }).catch(
    (error: unknown) => {
      if (error instanceof MaruError && error.status < 500) throw refused();
      throw error;
    },
  );
  const left = token.payload.expiresAt - Math.floor(Date.now() / 1000);
  return new OpReply(200, { access_token: token.text, token_type: 'Bearer', expires_in: left }, NO_STORE);
}

async function readForm({ raw, body }: OpRequest): Promise<URLSearchParams> {
  const type = raw.headers['content-type'] ?? '';
  if (!type.toLowerCase().startsWith('application/x-www-form-urlencoded')) return new URLSearchParams();
  const chunks: Buffer[] = [];
  let size = 0;
  const stream = (body ?? Readable.from([])) as Readable;
  const late = setTimeout(() => {
    stream.destroy(new OauthProblem(408, 'invalid_request', 'The form did not arrive in time.'));
  }, FORM_TIME);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > LONGEST_FORM) throw new OauthProblem(400, 'invalid_request', 'The request is too large.');
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(late);
  }
  const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
  for (const name of new Set(form.keys())) {
    if (form.getAll(name).length > 1) {
      throw new OauthProblem(400, 'invalid_request', 'A parameter is given more than once.');
    }
  }
  return form;
}

/** The client's id and secret of HTTP basic authentication. */
function basic(header: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^Basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return { id: text.slice(0, colon), secret: text.slice(colon + 1) };
}

function refused(): OauthProblem {
  return new OauthProblem(401, 'invalid_client', 'Client authentication failed.');
}

function problem({ app }: OpRequest, { status, error, message }: OauthProblem): OpReply {
  const headers = {
    ...NO_STORE,
    ...(status === 401 && { 'www-authenticate': `Keystone uri="${app.config.public_url}/identity/v3"` }),
    ...(status === 405 && { allow: 'POST' }),
  };
  return new OpReply(status, { error, error_description: message }, headers);
}
