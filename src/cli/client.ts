import { type Credentials, findCredentials } from './credentials.js';
import { CliError, NoAnswer, NoReplyInTime } from './error.js';
import { type HttpReply, send } from './http.js';

/** Talks to the controller with a token of its own. Failures become CliErrors that say what to do. */
export class Client {
  readonly #root: string;
  readonly #credentials: Credentials;
  readonly #timeoutMs: number | undefined;
  #token: string | undefined;

  /** `timeoutMs`: how long each reply may take. */
  constructor(credentials: Credentials = findCredentials(), timeoutMs?: number) {
    this.#credentials = credentials;
    this.#timeoutMs = timeoutMs;
    this.#root = credentials.authUrl.replace(/\/identity(\/v3)?\/?$/, '');
  }

  async get<T>(path: string): Promise<T> {
    return await this.request<T>('GET', path);
  }

  /** Sends a request below the API's root, such as `/maru/v1/hosts`; gives the decoded reply. */
  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    this.#token ??= await this.#authenticate();
    const response = await this.#fetch(method, path, body, { 'x-auth-token': this.#token });
    return await decode<T>(response, `${method} ${path}`);
  }

  async #authenticate(): Promise<string> {
    const { auth, token, who, doubt } = this.#credentials;
    if (token !== null) return token;
    const response = await this.#fetch('POST', '/identity/v3/auth/tokens?nocatalog', { auth }, {});
    if (response.status === 401) {
      throw new CliError(`the controller refuses ${who}: ${wantedMethods(response) ?? doubt}`);
    }
    await decode(response, 'authentication');
    return String(response.headers['x-subject-token']);
  }

  async #fetch(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<HttpReply> {
    const { ca, unfollowed } = this.#credentials;
    const json: Record<string, string> = body ? { 'content-type': 'application/json' } : {};
    try {
      return await send(this.#root + path, {
        method,
        headers: { ...headers, accept: 'application/json', ...json },
        ...(body ? { body: JSON.stringify(body) } : {}),
        ...(ca ? { ca } : {}),
        ...(this.#timeoutMs === undefined ? {} : { timeoutMs: this.#timeoutMs }),
      });
    } catch (error) {
      if (error instanceof NoReplyInTime) throw new NoAnswer(this.#hangs(method, path, error));
      throw new NoAnswer(
        `no answer from the controller at ${this.#root} (${(error as Error).message}); is it running?${unfollowed ? ` ${unfollowed}` : ''}`,
      );
    }
  }

  #hangs(method: string, path: string, { seconds }: NoReplyInTime): string {
    const changes = method !== 'GET' && !path.startsWith('/identity/v3/auth/');
    return [
      `the controller at ${this.#root} did not answer ${method} ${path.split('?')[0]} within ${seconds} s:`,
      'it hangs, or packets to it are dropped',
      ...(changes ? ['(what was asked may be done all the same: look before you ask again)'] : []),
    ].join(' ');
  }
}

async function decode<T>({ status, text }: HttpReply, what: string): Promise<T> {
  if (status < 200 || status > 299) throw new CliError(`${what}: ${status} ${messageOf(text)}`);
  try {
    return (text ? JSON.parse(text) : undefined) as T;
  } catch {
    throw new CliError(`${what}: ${status}, but what answers is no controller: ${text.slice(0, 100)}`);
  }
}

/** What is missing where what was proved is right, and not all that is wanted of the user. */
function wantedMethods({ headers, text }: HttpReply): string | null {
  if (headers['openstack-auth-receipt'] === undefined) return null;
  const { required_auth_methods: rules } = JSON.parse(text) as { required_auth_methods: string[][] };
  const choices = rules.map((methods) => methods.join(' and ')).join(', or ');
  return `it must prove who it is by ${choices} (auth_type v3multifactor, auth_methods, OS_PASSCODE)`;
}

/** The message inside any service's error body. */
function messageOf(text: string): string {
  try {
    const inner = Object.values(JSON.parse(text) as Record<string, unknown>)[0];
    return (inner as { message?: string }).message ?? text;
  } catch {
    return text.slice(0, 300);
  }
}
