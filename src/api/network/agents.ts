import { notFound } from '../../core/errors.js';
import { findHost, type HostRow, listHosts } from '../../store/hosts.js';
import type { Operation, OpRequest } from '../shared/operation.js';
import { ADMIN_RULE, READ_RULE } from './resource.js';

const policy = { name: 'get_agents', rule: READ_RULE };
/** Who sees agents: as in Neutron others may ask, and see none. */
export const AGENT_RULE = { get_agent: ADMIN_RULE };

/** Hosts as network agents, for `openstack network agent list`; others than administrators, as long as the policy says no more, see none. */
export const agentOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.0/agents',
    policy,
    summary: 'List network agents',
    status: 200,
    async handler(request) {
      const { app, ctx, query } = request;
      if (!ctx.allows('get_agent')) return { agents: [] };
      const agents = (await listHosts(app.store.read)).map((host) => view(request, host));
      const wanted = (key: 'host' | 'agent_type' | 'binary' | 'id') =>
        query[key] === undefined ? null : [query[key]].flat();
      const keys = ['host', 'agent_type', 'binary', 'id'] as const;
      return {
        agents: agents.filter((agent) => keys.every((key) => wanted(key)?.includes(agent[key]) ?? true)),
      };
    },
  },
  {
    method: 'GET',
    path: '/v2.0/agents/:id',
    policy,
    summary: 'Show a network agent',
    status: 200,
    async handler(request) {
      const { app, ctx, params } = request;
      const host = ctx.allows('get_agent') ? await findHost(app.store.read, params.id!) : undefined;
      if (!host) throw notFound(`Agent ${params.id} could not be found.`, 'AgentNotFound');
      return { agent: view(request, host) };
    },
  },
];

function view({ app }: OpRequest, host: HostRow) {
  return {
    id: host.id,
    agent_type: 'Linux bridge agent',
    binary: 'maru-agent',
    topic: 'N/A',
    host: host.name,
    admin_state_up: host.enabled === 1,
    alive: app.hosts.isUp(host.id),
    availability_zone: null,
    description: host.disabled_reason,
    configurations: {},
    resources_synced: null,
    created_at: time(host.created_at),
    started_at: time(host.created_at),
    heartbeat_timestamp: host.last_seen_at === null ? null : time(host.last_seen_at),
  };
}

/** `2026-11-22 08:24:38`, as agents have it. */
function time(text: string): string {
  return text.slice(0, 19).replace('T', ' ');
}
