import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { DoctorReport } from '../../src/protocol/doctor.js';
import type { Logger } from '../../src/protocol/log.js';
import { checkLogQuery, type LogQuery, type LogReply } from '../../src/protocol/log-query.js';
import type {
  ConsoleReply,
  DriftHeal,
  DriftHealReply,
  OrphanRemoval,
  Plan,
  ProbeReply,
  ProbeRequest,
  SpecAck,
  SpecPush,
  SpecRefusal,
} from '../../src/protocol/messages.js';
import { parseSecretJson } from '../../src/protocol/secret-text.js';
import type { TraceReply, TraceRequest } from '../../src/protocol/trace.js';
import { OrphanRefused } from '../orphans.js';
import type { Identity } from './identity.js';
import { checkDriftHeal, checkOrphanRemoval, checkProbe, checkSpecPush } from './validate.js';
import { answerUnderstood, checkTrace } from './validate-trace.js';

/** What the controller may ask of an agent. */
export interface AgentService {
  takeSpec(push: SpecPush): Promise<SpecAck | SpecRefusal>;
  plan(): Promise<Plan>;
  healDrift(request: DriftHeal): Promise<DriftHealReply>;
  /** Rejects when the log cannot be read. */
  logs(query: LogQuery): Promise<LogReply>;
  probe(request: ProbeRequest): Promise<ProbeReply>;
  /** Looks at things of our own on the host; changes nothing. */
  trace(request: TraceRequest): Promise<TraceReply>;
  /** Rejects with OrphanRefused. */
  removeOrphan(removal: OrphanRemoval): Promise<void>;
  console(serverId: string, lines: number | null): Promise<string>;
  /** What is wrong with this machine. */
  doctor(): Promise<DoctorReport>;
  health(): unknown;
}

export interface AgentListener {
  readonly port: number;
  use(identity: Identity): void;
  close(): Promise<void>;
}

/** A full spec of a large host. */
const BODY_LIMIT = 256 * 1024 * 1024;
const KEEP_ALIVE_MS = 300_000;

/** HTTPS for the controller alone: any other certificate, also another host's, is refused. */
export async function listenForController(
  identity: Identity,
  address: { readonly host: string; readonly port: number },
  service: AgentService,
  log: Logger,
): Promise<AgentListener> {
  const server = createServer(
    { ...tlsOptions(identity), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    (request, response) => void answer(request, response, service, log),
  );
  // kept open between changes: a handshake would delay the next one
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('tlsClientError', (error, socket) => {
    log.warn('connection refused', { reason: error.message, from: (socket as Socket).remoteAddress });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    use: (next) => server.setSecureContext(tlsOptions(next)),
    close: () => closeServer(server, connections),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  service: AgentService,
  log: Logger,
): Promise<void> {
  try {
    const name = (request.socket as TLSSocket).getPeerCertificate().subject?.CN;
    if (name !== 'controller') throw new Refused(403, `only the controller may ask, not '${name}'`);
    const { status, body } = await route(request, service);
    send(response, status, body);
  } catch (error) {
    const status = error instanceof Refused ? error.status : 500;
    log[status === 500 ? 'error' : 'warn']('request failed', { route: request.url, status, error });
    send(response, status, { message: (error as Error).message });
  }
}

async function route(
  request: IncomingMessage,
  service: AgentService,
): Promise<{ status: number; body: unknown }> {
  const url = new URL(request.url ?? '/', 'https://agent');
  const call = `${request.method} ${url.pathname}`;
  if (call === 'POST /v1/spec') {
    const body = await readChecked<SpecPush>(request, checkSpecPush);
    const outcome = await service.takeSpec(body);
    if (!('reason' in outcome)) return { status: 200, body: outcome };
    return { status: outcome.reason === 'removal' ? 422 : 409, body: outcome };
  }
  if (call === 'POST /v1/probe') {
    const body = await readChecked<ProbeRequest>(request, checkProbe);
    return { status: 200, body: await service.probe(body) };
  }
  if (call === 'POST /v1/trace') {
    const body = await readChecked<TraceRequest>(request, checkTrace);
    const answer = service.trace.bind(service);
    return { status: 200, body: await answerUnderstood(body, answer) };
  }
  if (call === 'POST /v1/orphans/remove') {
    const body = await readChecked<OrphanRemoval>(request, checkOrphanRemoval);
    await service.removeOrphan(body).catch((error: Error) => {
      throw error instanceof OrphanRefused ? new Refused(409, error.message) : error;
    });
    return { status: 200, body: {} };
  }
  if (call === 'POST /v1/drift/heal') {
    const body = await readChecked<DriftHeal>(request, checkDriftHeal);
    return { status: 200, body: await service.healDrift(body) };
  }
  if (call === 'POST /v1/logs') {
    const body = await readChecked<LogQuery>(request, checkLogQuery);
    return { status: 200, body: await service.logs(body) };
  }
  if (call === 'GET /v1/plan') return { status: 200, body: await service.plan() };
  if (call === 'GET /v1/doctor') return { status: 200, body: await service.doctor() };
  if (call === 'GET /v1/health') return { status: 200, body: service.health() };
  const [, serverId] = /^GET \/v1\/console\/([A-Za-z0-9-]+)$/.exec(call) ?? [];
  if (serverId !== undefined) {
    const length = url.searchParams.get('length');
    if (length !== null && !/^-?\d{1,9}$/.test(length))
      throw new Refused(400, `length '${length}' is not a number`);
    const output = await service.console(serverId, length === null ? null : Number(length));
    return { status: 200, body: { output } satisfies ConsoleReply };
  }
  throw new Refused(404, `nothing at ${call}`);
}

class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A request's body, of which `check` says in a sentence what is wrong. */
async function readChecked<T>(request: IncomingMessage, check: (body: unknown) => string | null): Promise<T> {
  const body = await readJson(request);
  const problem = check(body);
  if (problem) throw new Refused(400, problem);
  return body as T;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > BODY_LIMIT) throw new Refused(413, `the request is larger than ${BODY_LIMIT} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    // a spec has guests' passwords and keys
    return parseSecretJson(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new Refused(400, `the request is ${(error as Error).message}`);
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const payload = Buffer.from(JSON.stringify(body));
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': payload.length })
    .end(payload);
}

function tlsOptions(identity: Identity): { key: string; cert: string; ca: string } {
  return { key: identity.key, cert: identity.certificate, ca: identity.ca };
}

/** Ends every connection, also one whose handshake is under way: the server's own list does not have it yet. */
function closeServer(server: Server, connections: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of connections) socket.destroy();
  });
}
