import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { forbidden, MaruError, notFound } from '../core/errors.js';
import type { Logger } from '../protocol/log.js';
import type { CertificateRequest, Heartbeat, JoinRequest, ReportPush } from '../protocol/messages.js';
import { findHostByName, type HostRow, updateHost } from '../store/hosts.js';
import type { Store } from '../store/store.js';
import type { ControllerCredentials } from './agent-clients.js';
import { certificateSchema, heartbeatSchema, joinSchema, reportsSchema } from './agent-schemas.js';
import type { CertificateAuthority } from './certificates.js';
import type { Delivery } from './delivery.js';
import type { Heartbeats } from './heartbeats.js';
import { joinHost, renewCertificate } from './join.js';
import type { Liveness } from './liveness.js';
import type { Reports } from './reports.js';

/** Opens an image's file for a host to read. */
export type OpenImage = (imageId: string) => Promise<{ readonly stream: Readable; readonly size: number }>;

export interface AgentListenerParts {
  readonly store: Store;
  readonly log: Logger;
  readonly authority: CertificateAuthority;
  readonly delivery: Delivery;
  readonly heartbeats: Heartbeats;
  readonly reports: Reports;
  readonly liveness: Liveness;
  readonly openImage: OpenImage;
}

/** First heartbeats carry every object of a host. */
const BODY_LIMIT = 64 * 1024 * 1024;

/**
 * What agents talk to: HTTPS where only `join` works without a certificate. Who asks is what the certificate says, never what
 * the request says.
 */
export function buildAgentListener(
  credentials: ControllerCredentials,
  parts: AgentListenerParts,
): FastifyInstance {
  const server = Fastify({
    https: { ...credentials, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
  }) as unknown as FastifyInstance;
  server.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error instanceof MaruError ? error.status : (error.statusCode ?? 500);
    if (status >= 500) parts.log.error('agent request failed', { error, route: request.url });
    else
      parts.log.warn('agent request refused', {
        reason: error.message,
        route: request.url,
        from: request.ip,
      });
    return reply.code(status).send({ message: error.message });
  });

  server.post<{ Body: JoinRequest }>('/agent/v1/join', { schema: { body: joinSchema } }, async ({ body }) => {
    const reply = await joinHost(parts.store, parts.authority, body);
    parts.log.info('host joined', { host: body.name, host_id: reply.host_id, agent_url: body.agent_url });
    return reply;
  });
  server.post<{ Body: CertificateRequest }>(
    '/agent/v1/certificate',
    { schema: { body: certificateSchema } },
    async (request) => {
      const host = await authenticate(parts, request);
      return await renewCertificate(parts.store, parts.authority, host, request.body);
    },
  );
  server.post<{ Body: Heartbeat }>(
    '/agent/v1/heartbeat',
    { schema: { body: heartbeatSchema } },
    async (request) => {
      return await parts.heartbeats.take(await authenticate(parts, request), request.body);
    },
  );
  server.post<{ Body: ReportPush }>(
    '/agent/v1/reports',
    { schema: { body: reportsSchema } },
    async (request) => {
      const host = await authenticate(parts, request);
      parts.liveness.contact(host.id);
      await parts.reports.take(host.id, request.body.reports);
      return {};
    },
  );
  server.get<{ Params: { id: string } }>('/agent/v1/images/:id', async (request, reply) => {
    const host = await authenticate(parts, request);
    const { id } = request.params;
    const queue = parts.delivery.of(host.id);
    // the same answer for images that exist and images that do not: a host learns nothing about others' images
    if (!queue.mentions(id) && !(await queue.mentionsNow(id)))
      throw notFound(`No object of this host uses image ${id}.`);
    const { stream, size } = await parts.openImage(id);
    return reply
      .header('content-type', 'application/octet-stream')
      .header('content-length', size)
      .send(stream);
  });
  return server;
}

/** The host whose certificate this is; refuses unknown hosts and certificates that were replaced. */
async function authenticate(parts: AgentListenerParts, request: FastifyRequest): Promise<HostRow> {
  const socket = request.raw.socket as TLSSocket;
  if (!socket.authorized) {
    const reason = socket.authorizationError ? ` (${socket.authorizationError})` : '';
    throw new MaruError('unauthorized', `A client certificate of this installation is required${reason}.`);
  }
  const certificate = socket.getPeerCertificate();
  const fingerprint = certificate.fingerprint256?.replaceAll(':', '').toLowerCase();
  const name = String(certificate.subject?.CN ?? '');
  const host = await findHostByName(parts.store.read, name);
  if (!host) throw forbidden(`No host is named '${name}'; join again with a new token.`);
  if (host.certificate_fingerprint === fingerprint) return host;
  if (host.next_certificate_fingerprint === fingerprint) {
    await parts.store.tx((tx) =>
      updateHost(tx, host.id, {
        certificate_fingerprint: fingerprint,
        next_certificate_fingerprint: null,
        certificate_expires_at: new Date(certificate.valid_to).toISOString(),
      }),
    );
    return host;
  }
  throw forbidden(`The certificate of '${name}' was replaced; join again with a new token.`);
}
