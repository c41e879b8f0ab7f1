import { type FaultCloud, type FaultReply, pause } from './fault-cloud.js';
import { PATIENCE_MS } from './patience.js';

const PATHS = {
  server: '/compute/v2.1/servers',
  network: '/network/v2.0/networks',
  subnet: '/network/v2.0/subnets',
  port: '/network/v2.0/ports',
  router: '/network/v2.0/routers',
  floatingip: '/network/v2.0/floatingips',
  security_group: '/network/v2.0/security-groups',
  security_group_rule: '/network/v2.0/security-group-rules',
  volume: '',
} as const;
export type Kind = keyof typeof PATHS;

/** By what a client finds again what it asked for when it did not hear the answer: floating IPs and rules have no names. */
const LABEL: Partial<Record<Kind, string>> = {
  floatingip: 'description',
  security_group_rule: 'description',
};

/**
 * A client of the cloud that asks again when it heard no answer, as good clients do, and remembers what was acknowledged: what it was
 * told exists has to be there in the end, and what it was told is gone has to be away.
 */
export class Tenant {
  readonly cloud: FaultCloud;
  readonly operations: string[] = [];
  /** `kind/id` to whether it has to exist. */
  readonly acknowledged = new Map<string, boolean>();
  #serial = 0;
  #projectId = '';

  constructor(cloud: FaultCloud) {
    this.cloud = cloud;
  }

  path(kind: Kind): string {
    return kind === 'volume' ? `/volume/v3/${this.#projectId}/volumes` : PATHS[kind];
  }

  /** A name that nothing else has. */
  name(kind: string): string {
    return `${kind}-${++this.#serial}`;
  }

  async open(): Promise<void> {
    const { projects } = await this.cloud.call<{ projects: { id: string; name: string }[] }>(
      'GET',
      '/identity/v3/projects?name=admin',
    );
    this.#projectId = projects[0]?.id ?? '';
  }

  /** Makes a thing, exactly one; gives its id. */
  async create(kind: Kind, attributes: Readonly<Record<string, unknown>>): Promise<string> {
    const label = LABEL[kind] ?? 'name';
    const name = this.name(kind);
    const body = { [kind]: { [label]: name, ...attributes } };
    for (const deadline = Date.now() + PATIENCE_MS; ; ) {
      const reply = await this.#ask('POST', this.path(kind), body);
      if (reply.known && reply.status < 300) return this.#made(kind, idOf(kind, reply.body));
      if (reply.known && reply.status < 500) throw refused('POST', this.path(kind), reply);
      if (Date.now() > deadline) throw refused('POST', this.path(kind), reply);
      const found = await this.#find(kind, label, name);
      if (found) return this.#made(kind, found);
    }
  }

  /** Makes sure that a thing goes. */
  async delete(kind: Kind, id: string): Promise<void> {
    await this.insist('DELETE', `${this.path(kind)}/${id}`, undefined, [404]);
    this.acknowledged.set(`${kind}/${id}`, false);
  }

  /** Repeats until it is answered with success, or with a status that says that it is so already. */
  async insist(
    method: string,
    path: string,
    body?: unknown,
    already: readonly number[] = [],
  ): Promise<FaultReply> {
    for (const deadline = Date.now() + PATIENCE_MS; ; ) {
      const reply = await this.#ask(method, path, body);
      if (reply.known && (reply.status < 300 || already.includes(reply.status))) return reply;
      if ((reply.known && reply.status < 500) || Date.now() > deadline) throw refused(method, path, reply);
      await pause(20);
    }
  }

  /** A server's action; a 409 says that an earlier attempt is being carried out. */
  async act(id: string, action: object): Promise<void> {
    await this.insist('POST', `${this.path('server')}/${id}/action`, action, [409]);
  }

  /** `refusals`: what the answer may be instead of success. */
  async attach(floatingIpId: string, portId: string | null, refusals: readonly number[] = []): Promise<void> {
    const body = { floatingip: { port_id: portId } };
    await this.insist('PUT', `${this.path('floatingip')}/${floatingIpId}`, body, refusals);
  }

  async portOf(serverId: string): Promise<string> {
    const { ports } = await this.cloud.call<{ ports: { id: string }[] }>(
      'GET',
      `/network/v2.0/ports?device_id=${serverId}`,
    );
    return ports[0]?.id ?? '';
  }

  /** What was acknowledged and is not so. */
  async lost(): Promise<string[]> {
    const found: string[] = [];
    for (const [key, exists] of this.acknowledged) {
      const slash = key.indexOf('/');
      const path = `${this.path(key.slice(0, slash) as Kind)}/${key.slice(slash + 1)}`;
      const reply = await this.cloud.request('GET', path);
      const wanted = exists ? 200 : 404;
      if (!reply.known || reply.status !== wanted)
        found.push(
          `${key} was acknowledged to ${exists ? 'exist' : 'be gone'}, the API says ${reply.status}`,
        );
    }
    return found;
  }

  async #ask(method: string, path: string, body?: unknown): Promise<FaultReply> {
    const reply = await this.cloud.request(method, path, body);
    const said = reply.known ? String(reply.status) : 'no answer';
    this.operations.push(`${method} ${path} ${body === undefined ? '' : JSON.stringify(body)} → ${said}`);
    return reply;
  }

  #made(kind: Kind, id: string): string {
    this.acknowledged.set(`${kind}/${id}`, true);
    return id;
  }

  async #find(kind: Kind, label: string, name: string): Promise<string | null> {
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(20)) {
      const reply = await this.cloud.request<Record<string, ({ id: string } & Record<string, unknown>)[]>>(
        'GET',
        `${this.path(kind)}?${label}=${name}`,
      );
      if (!reply.known || reply.status !== 200) continue;
      const found = Object.values(reply.body)
        .flat()
        .filter((one) => one[label] === name);
      if (found.length > 1) throw new Error(`${kind} ${name} was made ${found.length} times`);
      return found[0]?.id ?? null;
    }
    throw new Error(`no list of ${kind} within ${PATIENCE_MS} ms`);
  }
}

function idOf(kind: Kind, body: unknown): string {
  return (body as Record<string, { id: string }>)[kind]?.id ?? '';
}

function refused(method: string, path: string, reply: FaultReply): Error {
  return new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
}
