import type { App } from '../../core/app.js';
import type { AuthorityStatus } from '../../core/gateway.js';
import { providerFindings } from '../../core/network/provider-problems.js';
import { explainServer } from '../../core/server/explain.js';
import { listControllers } from '../../store/controllers.js';
import { standingDrift } from '../../store/drift.js';
import { listHosts, tombstoneCounts } from '../../store/hosts.js';
import { findIncarnation } from '../../store/incarnation.js';
import { holdsByHost } from '../../store/network/hold.js';
import { hostLoads, resourceCounts, troubledServers } from '../../store/overview.js';
import { nowText } from '../../store/store.js';
import type { Operation } from '../shared/operation.js';
import { presenceOf } from './hosts.js';
import { type CloudStatus, hostSummary } from './views.js';

const ADMIN = 'rule:context_is_admin';
const MOST_SHOWN = 20;

export const statusOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v1/status',
    policy: { name: 'maru:status', rule: ADMIN },
    summary: 'Show what is wrong, and what there is',
    status: 200,
    handler: async ({ app }) => ({ status: await cloudStatus(app) }),
  },
  {
    method: 'GET',
    path: '/v1/servers/:server/explain',
    policy: { name: 'maru:servers:explain', rule: ADMIN },
    summary: 'Explain where a server is and why',
    status: 200,
    handler: async ({ app, params }) => ({ explanation: await explainServer(app, params.server!) }),
  },
];

/** What is left of deleted things on a host; null when nothing is. */
function owedBy(
  tombstones: { readonly count: number; readonly oldest: string } | undefined,
  holds: { readonly addresses: number; readonly vnis: number } | undefined,
): string | null {
  const parts = [
    tombstones &&
      `has ${tombstones.count} deleted server(s) or volume(s) to destroy since ${tombstones.oldest}`,
    holds?.addresses && `keeps ${holds.addresses} address(es) from being given out again`,
    holds?.vnis && `keeps ${holds.vnis} network segment(s) from being used again`,
  ].filter(Boolean);
  return parts.length === 0 ? null : parts.join(', ');
}

async function cloudStatus(app: App): Promise<CloudStatus> {
  const db = app.store.read;
  const loads = await hostLoads(db);
  const hosts = (await listHosts(db)).map((h) => hostSummary(h, loads.get(h.id), presenceOf(app, h.id)));
  const problems: { what: string; advice: string }[] = [];
  for (const { name, address, alive, isolated, silence } of await listControllers(db)) {
    if (alive && isolated) {
      problems.push({
        what: `Controller ${name} (${address}) reaches no host; others have its hosts`,
        advice: `is the network between ${name} and the hosts up?`,
      });
    }
    if (alive) continue;
    problems.push({
      what: `Controller ${name} (${address}) has not been heard of for ${Math.round(silence / 1000)} s; others have its hosts`,
      advice: `on ${name}: systemctl status maru-controller; can it reach the database? It is forgotten a day after it was last heard of`,
    });
  }
  const tombstones = await tombstoneCounts(db);
  const holds = await holdsByHost(db);
  const observing = hosts.filter((host) => host.observe_only).map((host) => host.name);
  if (observing.length > 0) {
    const { reason } = await findIncarnation(db);
    problems.push({
      what: `Nothing is changed on ${observing.length} host(s) (${shortList(observing)}): ${reason}`,
      advice: 'maru incarnation show tells what they would change; maru incarnation accept lets them',
    });
  }
  problems.push(...authorityProblems(await app.hosts.authority.status()));
  if (hosts.length === 0) {
    problems.push({
      what: 'No host has joined',
      advice: 'maru host token, then on the host: maru agent --join TOKEN',
    });
  }
  for (const host of hosts) {
    if (host.state === 'down') {
      problems.push({
        what: `Host ${host.name} is down (last seen ${host.last_seen_at ?? 'never'})`,
        advice: `on ${host.name}: systemctl status maru-agent; is the network between it and the controller up?`,
      });
      const owed = owedBy(tombstones.get(host.id), holds.get(host.id));
      if (owed) {
        problems.push({
          what: `Host ${host.name} is down and ${owed}`,
          advice: `bring it back; or, if it never comes back: maru host remove ${host.name}`,
        });
      }
    } else if (host.faults > 0) {
      problems.push({
        what: `Host ${host.name} could not bring about ${host.faults} object(s)`,
        advice: `maru host show ${host.name}`,
      });
    }
  }
  const provider = await providerFindings(db);
  problems.push(...provider.problems);
  const drift = await standingDrift(db);
  for (const { id, name } of hosts) {
    const count = drift.get(id);
    if (!count) continue;
    problems.push({
      what: `On host ${name} ${count} object(s) were changed by other hands and are left so`,
      advice: `maru drift ${name}`,
    });
  }
  for (const server of await troubledServers(db, nowText(), MOST_SHOWN)) {
    const fault = server.fault
      ? (JSON.parse(server.fault) as { message: string }).message
      : `in task ${server.task_state}`;
    problems.push({
      what: `Server ${server.name} is ${server.status}: ${fault}`,
      advice: `maru server explain ${server.id}`,
    });
  }
  const warnings = hosts.flatMap((h) => [
    ...(h.simulated ? [`${h.name}: simulated, nothing on it is real`] : []),
    ...(h.enabled ? [] : [`${h.name}: disabled, gets no new servers`]),
    ...h.warnings.map((w) => `${h.name}: ${w}`),
  ]);
  warnings.push(...provider.warnings);
  return { problems, warnings, counts: await resourceCounts(db) };
}

/** What to do about certificates: a replacement under way, hosts whose certificate has expired. */
function authorityProblems(authority: AuthorityStatus): CloudStatus['problems'] {
  const now = Date.now();
  const expired = authority.hosts.filter(({ expires_at }) => expires_at && Date.parse(expires_at) < now);
  const problems = expired.map(({ name, expires_at }) => ({
    what: `The certificate of host ${name} expired at ${expires_at}: it is let in no more`,
    advice: `maru host token --name ${name}, then on the host: maru agent --join TOKEN`,
  }));
  if (authority.phase === 'none') return problems;
  const left = authority.waiting_for;
  const doing = authority.phase === 'rotating' ? 'is being replaced' : 'is being given back';
  const state = left.length > 0 ? `${left.length} host(s) wait (${shortList(left)})` : 'all hosts are ready';
  const advice = left.length > 0 ? 'maru ca show' : 'maru ca finish';
  return [...problems, { what: `The certificate authority ${doing}: ${state}`, advice }];
}

function shortList(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} …` : names.join(', ');
}
