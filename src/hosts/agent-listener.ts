import type { Readable } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import { MaruError, notFound } from '../core/errors.js';
import type { CertificateRequest, Heartbeat, JoinRequest, ReportPush } from '../protocol/messages.js';
import { type HostRow, updateHost } from '../store/hosts.js';
import { DatabaseUnavailable } from '../store/unavailable.js';
import { type AdmissionParts, admit, HostRemoved } from './admission.js';
import type { ControllerCredentials } from './agent-clients.js';
import { certificateSchema, heartbeatSchema, joinSchema, reportsSchema } from './agent-schemas.js';
import type { Authorities } from './authorities.js';
import type { Delivery } from './delivery.js';
import type { Heartbeats } from './heartbeats.js';
import { joinHost, renewCertificate } from './join.js';
import type { Liveness } from './liveness.js';
import type { Reports } from './reports.js';

/** Opens an image's file for a host to read. */
export type OpenImage = (imageId: string) => Promise<{ readonly stream: Readable; readonly size: number }>;

export interface AgentListenerParts extends AdmissionParts {
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
    const away = error instanceof DatabaseUnavailable;
    const status = away ? 503 : error instanceof MaruError ? error.status : (error.statusCode ?? 500);
    if (status >= 500) parts.log.error('agent request failed', { error, route: request.url });
    else
      parts.log.warn('agent request refused', {
        reason: error.message,
        route: request.url,
        from: request.ip,
      });
    const removed = error instanceof HostRemoved ? { removed: true } : {};
    return reply.code(status).send({ message: error.message, ...removed });
  });

  server.post<{ Body: JoinRequest }>('/agent/v1/join', { schema: { body: joinSchema } }, async ({ body }) => {
    const reply = await joinHost(parts.store, parts.authorities, body);
    parts.log.info('host joined', { host: body.name, host_id: reply.host_id, agent_url: body.agent_url });
    return reply;
  });
  server.post<{ Body: CertificateRequest }>(
    '/agent/v1/certificate',
    { schema: { body: certificateSchema } },
    async (request) => {
      const host = await admit(parts, request);
      return await renewCertificate(parts.store, parts.authorities, host, request.body);
    },
  );
  server.post<{ Body: Heartbeat }>(
    '/agent/v1/heartbeat',
    { schema: { body: heartbeatSchema } },
    async (request) => {
      const host = await noteTrust(parts, await admit(parts, request), request.body);
      await parts.incarnations.examine(host, request.body);
      const reply = await parts.heartbeats.take(host, request.body);
      return { ...reply, ...(mustRenew(parts.authorities, host) ? { renew: true as const } : {}) };
    },
  );
  server.post<{ Body: ReportPush }>(
    '/agent/v1/reports',
    { schema: { body: reportsSchema } },
    async (request) => {
      const host = await admit(parts, request);
      parts.liveness.contact(host.id);
      await parts.reports.take(host.id, request.body.reports, request.body.order);
      return {};
    },
  );
  server.get<{ Params: { id: string } }>('/agent/v1/images/:id', async (request, reply) => {
    const host = await admit(parts, request);
    const { id } = request.params;
    // the same answer for images that exist and images that do not: a host learns nothing about others' images
    if (!(await parts.delivery.mentions(host.id, id)))
      throw notFound(`No object of this host uses image ${id}.`);
    const { stream, size } = await parts.openImage(id);
    return reply
      .header('content-type', 'application/octet-stream')
      .header('content-length', size)
      .send(stream);
  });
  return server;
}

/** Stores which authorities the host's agent trusts, when that has changed. */
async function noteTrust(parts: AgentListenerParts, host: HostRow, beat: Heartbeat): Promise<HostRow> {
  if (!beat.authorities) return host;
  const trusted_authorities = JSON.stringify([...beat.authorities].sort());
  if (trusted_authorities === host.trusted_authorities) return host;
  await parts.store.tx((tx) => updateHost(tx, host.id, { trusted_authorities }));
  return { ...host, trusted_authorities };
}

/** A certificate comes with what to trust: a host needs a new one when either has changed. */
function mustRenew(authorities: Authorities, host: HostRow): boolean {
  if (host.certificate_authority !== authorities.signing.fingerprint) return true;
  const { trusted_authorities } = host;
  return trusted_authorities !== null && trusted_authorities !== JSON.stringify(authorities.fingerprints);
}
