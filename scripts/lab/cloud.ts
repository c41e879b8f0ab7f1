import { sendTrusting } from './trusting-fetch.js';

/** Whom a client is. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly project: string;
}

/** A reply that is an error, with what the service said. */
export class ApiError extends Error {
  readonly status: number;

  constructor(method: string, url: string, status: number, body: string) {
    super(`${method} ${url}: ${status} ${messageOf(body)}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

type Json = Record<string, unknown>;

/** A small client of the OpenStack APIs: finds services in the catalogue and renews its token when it is refused. */
export class Cloud {
  readonly endpoint: string;
  readonly credentials: Credentials;
  readonly ca: string | undefined;
  #token: string | null = null;
  #catalogue = new Map<string, string>();
  projectId = '';

  /** `ca`: PEM text of the authorities that the cloud's certificate must come from, when they are not the system's. */
  constructor(endpoint: string, credentials: Credentials, ca?: string) {
    this.endpoint = endpoint;
    this.credentials = credentials;
    this.ca = ca;
  }

  /** Gets a token of the project; throws ApiError when it is refused. */
  async authenticate(): Promise<void> {
    const { username, password, project } = this.credentials;
    const domain = { name: 'Default' };
    const auth = {
      identity: { methods: ['password'], password: { user: { name: username, password, domain } } },
      scope: { project: { name: project, domain } },
    };
    const response = await this.#send('POST', `${this.endpoint}/identity/v3/auth/tokens`, { auth }, {});
    this.#token = response.headers.get('x-subject-token');
    const { token } = (await response.json()) as { token: TokenBody };
    this.projectId = token.project.id;
    this.#catalogue = new Map(
      token.catalog.flatMap((service) => {
        const url = service.endpoints.find((e) => e.interface === 'public')?.url;
        return url ? [[service.type, url.replace(/\/$/, '')] as const] : [];
      }),
    );
  }

  /** The token in use; empty before the first call. */
  get token(): string {
    return this.#token ?? '';
  }

  /** Calls a service by its type, e.g. `call('network', 'GET', '/v2.0/networks')`; null for an empty reply. */
  async call<T = Json>(
    service: string,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await this.raw(service, method, path, body, headers);
    const text = await response.text();
    return (text ? JSON.parse(text) : null) as T;
  }

  /** As `call`, with the response as it is; `body` may be bytes or a stream. */
  async raw(
    service: string,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    if (!this.#token) await this.authenticate();
    const send = async () =>
      await this.#send(method, `${await this.#url(service)}${path}`, body, {
        ...headers,
        'x-auth-token': this.#token ?? '',
      });
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await this.authenticate();
      return await send();
    }
  }

  async #url(service: string): Promise<string> {
    // the operator's own API is not part of OpenStack's catalogue
    if (service === 'maru') return `${this.endpoint}/maru/v1`;
    const url = this.#catalogue.get(service);
    if (!url) throw new Error(`${this.endpoint}: no ${service} service in the catalogue`);
    return url;
  }

  async #send(
    method: string,
    url: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Response> {
    const plain = body === undefined || body instanceof Uint8Array;
    const request = {
      method,
      headers: {
        accept: 'application/json',
        ...(plain ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: plain ? (body as Uint8Array<ArrayBuffer> | undefined) : JSON.stringify(body),
      signal: AbortSignal.timeout(120_000),
    };
    const sent = this.ca === undefined ? fetch(url, request) : sendTrusting(this.ca, url, request);
    const response = await sent.catch((error: Error) => {
      throw new Error(
        `${method} ${url}: ${error.cause instanceof Error ? error.cause.message : error.message}`,
      );
    });
    if (response.status >= 400) throw new ApiError(method, url, response.status, await response.text());
    return response;
  }
}

interface TokenBody {
  readonly project: { readonly id: string };
  readonly catalog: readonly {
    readonly type: string;
    readonly endpoints: readonly { readonly interface: string; readonly url: string }[];
  }[];
}

/** The message in an error body, whichever service's format it has. */
function messageOf(body: string): string {
  try {
    const value = JSON.parse(body) as Json;
    const inner = Object.values(value).find((part) => typeof part === 'object' && part !== null) as
      | Json
      | undefined;
    return String(value.message ?? inner?.message ?? body);
  } catch {
    return body.slice(0, 300);
  }
}
