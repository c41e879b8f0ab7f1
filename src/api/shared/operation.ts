import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../../core/app.js';
import type { Context, PolicyTarget } from '../../core/context.js';

/** A JSON Schema (draft 2020-12 subset that ajv understands). */
export type Schema = Readonly<Record<string, unknown>>;

/** Services by their mount point. */
export type ServiceName = 'identity' | 'compute' | 'network' | 'image' | 'volume' | 'placement' | 'admin';

/** A microversion as a number pair; 2.10 is newer than 2.9. */
export interface Microversion {
  readonly major: number;
  readonly minor: number;
}

/** One request as a handler sees it. */
export interface OpRequest<Body = unknown> {
  readonly app: App;
  /** Who asks. Operations without a policy have a context without rights. */
  readonly ctx: Context;
  readonly params: Readonly<Record<string, string>>;
  /** Query string; a key given twice holds a list. */
  readonly query: Readonly<Record<string, string | string[]>>;
  readonly body: Body;
  /** The negotiated microversion; minor 0 for services without any. */
  readonly version: Microversion;
  /** `http://host:port/<service prefix>`, for links. */
  readonly baseUrl: string;
  readonly raw: FastifyRequest;
  readonly reply: FastifyReply;
}

/** What a handler may return besides a plain body: `reply` in full. */
export class OpReply {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/**
 * One operation of one service: the declaration from which come the route, validation, the policy list, audit names and
 * the table of what is supported.
 */
export interface Operation {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the service's prefix in fastify's syntax: `/v2.1/servers/:server_id`. */
  readonly path: string;
  /** Name and default rule (oslo.policy language); null: anybody, also without a token. */
  readonly policy: { readonly name: string; readonly rule: string } | null;
  /** What happens, in a few words: for the list of operations and the audit trail. */
  readonly summary: string;
  /**
   * How it is recorded where its policy's name does not say: without a policy it names its `action`. `login`: it gives a token,
   * and changes nothing. `none`: not at all, since it changes nothing though its method is one of those that do.
   */
  readonly audit?: 'none' | { readonly action?: string; readonly login?: boolean };
  /** Microversions in which the operation exists (both ends included); outside: 404. */
  readonly since?: string;
  readonly until?: string;
  /**
   * Schema of the JSON body: one, or one per microversion as [since, schema] in rising order.
   * Absent: a body is neither needed nor looked at.
   */
  readonly body?: Schema | readonly (readonly [since: string, schema: Schema])[];
  readonly query?: Schema;
  /** Status of success. */
  readonly status: number;
  /** True: the handler reads the request body as a stream (image upload). */
  readonly stream?: boolean;
  /**
   * What the policy rule is checked against before the handler runs, besides the service's `baseTarget`; by default, where
   * there is none, a target that belongs to the token's own project and user, so that this first check is about roles.
   * Handlers check found rows with ctx.authorize.
   */
  readonly target?: (request: OpRequest) => PolicyTarget | Promise<PolicyTarget>;
  /** The policy that counts instead for this request, if any: one of the service's further `rules`. */
  readonly otherPolicy?: (request: OpRequest) => string | undefined | Promise<string | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: each operation narrows its own body, which its schema has checked
  readonly handler: (request: OpRequest<any>) => unknown;
}
