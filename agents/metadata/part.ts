import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Server as NetServer, Socket } from 'node:net';
import type { Logger } from '../../src/protocol/log.js';
import type { ObjectReport } from '../../src/protocol/messages.js';
import type { Spec } from '../../src/protocol/objects.js';
import type { Host } from '../host/host.js';
import type { Part } from '../part.js';
import { toObjectError } from '../storage/object-error.js';
import { serverDirectory } from '../storage/paths.js';
import { createAdmission } from './connections.js';
import { listenerId, type MetadataListener } from './listeners.js';
import { createLookup, type GuestLookup } from './lookup.js';
import { answer, NOT_FOUND, type PasswordStore } from './routes.js';

export interface MetadataOptions {
  readonly host: Host;
  readonly stateDir: string;
  /** The listeners that a spec needs; the network part knows. */
  readonly listeners: (spec: Spec) => readonly MetadataListener[];
  readonly log: Logger;
}

interface OpenListener {
  readonly wanted: MetadataListener;
  readonly server: NetServer;
  /** Ends the connections that are open. */
  readonly hangUp: () => void;
  /** Identity of the namespace that the socket is in: one of the same name made anew is another. */
  readonly namespaceInode: number | null;
}

const MAX_BODY = 64 * 1024;

/** The metadata service: sockets in the namespaces of routers and DHCP servers, all served by this process. */
export function createMetadataPart(options: MetadataOptions): Part {
  const { host, log } = options;
  const open = new Map<string, OpenListener>();
  let lookup: GuestLookup = createLookup({});

  async function serve(wanted: MetadataListener): Promise<void> {
    const id = listenerId(wanted);
    const namespaceInode = await inodeOf(host, wanted.netns);
    const server = await host.listenInNamespace(wanted.netns, wanted.address, wanted.port);
    const http = createServer((request, response) => {
      const networks = open.get(id)?.wanted.networkIds ?? [];
      handle(request, response, networks).catch((error) => {
        log.error('metadata request failed', { netns: wanted.netns, url: request.url, error });
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    });
    const admission = createAdmission();
    server.on('connection', (socket: Socket) => {
      if (admission.admit(socket)) http.emit('connection', socket);
    });
    server.on('error', (error) => log.warn('metadata listener', { netns: wanted.netns, error }));
    open.set(id, { wanted, server, hangUp: admission.closeAll, namespaceInode });
    log.info('metadata service listens', { netns: wanted.netns, address: wanted.address, port: wanted.port });
  }

  // only the connection says who asks: headers such as X-Forwarded-For come from the guest
  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    networkIds: readonly string[],
  ): Promise<void> {
    const source = request.socket.remoteAddress ?? '';
    const server = lookup.find(networkIds, source);
    const body = await readBody(request);
    const reply =
      server && body !== null
        ? await answer(
            request.method ?? '',
            request.url ?? '',
            body,
            server.metadata,
            passwordStore(host, options.stateDir, server.id),
          )
        : NOT_FOUND;
    if (!server)
      log.info('metadata asked by an unknown address', { source, networks: networkIds, url: request.url });
    response.writeHead(reply.status, {
      'content-type': reply.type,
      'content-length': Buffer.byteLength(reply.body),
    });
    response.end(request.method === 'HEAD' ? undefined : reply.body);
  }

  function shut(id: string): void {
    const found = open.get(id);
    open.delete(id);
    found?.server.close();
    found?.hangUp();
  }

  /** Listeners to open, and ids of those to close. */
  async function diff(
    spec: Spec,
  ): Promise<{ readonly missing: MetadataListener[]; readonly surplus: string[] }> {
    const wanted = options.listeners(spec);
    const ids = new Set(wanted.map(listenerId));
    const surplus = [...open.keys()].filter((id) => !ids.has(id));
    const missing: MetadataListener[] = [];
    for (const listener of wanted) {
      const present = open.get(listenerId(listener));
      if (!present || present.namespaceInode !== (await inodeOf(host, listener.netns)))
        missing.push(listener);
    }
    return { missing, surplus };
  }

  return {
    name: 'metadata',

    async apply({ spec }) {
      lookup = createLookup(spec);
      for (const listener of options.listeners(spec)) {
        const present = open.get(listenerId(listener));
        // a router that serves one network more needs no other socket
        if (present) open.set(listenerId(listener), { ...present, wanted: listener });
      }
      const { missing, surplus } = await diff(spec);
      for (const id of surplus) shut(id);
      const reports = await Promise.all(
        missing.map(async (listener): Promise<ObjectReport | null> => {
          try {
            shut(listenerId(listener));
            await serve(listener);
            return null;
          } catch (error) {
            const told = toObjectError(error, `metadata service in ${listener.netns}`);
            log.error('metadata service does not listen', { ...told });
            return {
              key: listener.object,
              revision: spec[listener.object]?.revision ?? null,
              state: 'error',
              error: told,
            };
          }
        }),
      );
      return reports.filter((report) => report !== null);
    },

    async plan(spec) {
      const { missing, surplus } = await diff(spec);
      return [
        ...missing.map((l) => ({
          object: l.object,
          action: 'listen',
          detail: `metadata on ${l.address}:${l.port} in ${l.netns}`,
        })),
        ...surplus.flatMap((id) => {
          const l = open.get(id)?.wanted;
          return l ? [{ object: l.object, action: 'stop listening', detail: `metadata in ${l.netns}` }] : [];
        }),
      ];
    },

    async close() {
      for (const id of [...open.keys()]) shut(id);
    },
  };
}

function passwordStore(host: Host, stateDir: string, serverId: string): PasswordStore {
  const file = `${serverDirectory(stateDir, serverId)}/password`;
  return {
    read: async () => (await host.readFileIfExists(file)) ?? '',
    async write(password) {
      if (await host.readFileIfExists(file)) return false;
      await host.writeFile(file, password, 0o600);
      return true;
    },
  };
}

async function inodeOf(host: Host, netns: string): Promise<number | null> {
  return (await host.stat(`/run/netns/${netns}`))?.ino ?? null;
}

/** The request's body as text; null when it is longer than any that is accepted. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
