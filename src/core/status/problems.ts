import type { AuthorityStatus } from '../gateway.js';
import type { CloudProblem, Gravity, Seen, SeenHost } from './status.js';

const ORDER: readonly Gravity[] = ['outage', 'failure', 'attention'];
/** A push that fails once is tried again at once. */
const UNDELIVERED_MS = 15_000;
const DAY_MS = 24 * 3600 * 1000;
/** Hosts' certificates last 30 days and are renewed after 20. */
const HOST_CERTIFICATE_DAYS = 8;
const AUTHORITY_DAYS = 60;
const DISK_FULL = 0.95;

/** The gravest first; those of one gravity stay in their order. */
export function gravest(problems: readonly CloudProblem[]): CloudProblem[] {
  return ORDER.flatMap((gravity) => problems.filter((problem) => problem.gravity === gravity));
}

/** What an operator should do something about. Pure. */
export function problemsOf(seen: Seen): CloudProblem[] {
  return [
    ...controllerProblems(seen),
    ...incarnationProblems(seen),
    ...seen.hosts.flatMap((host) => hostProblems(seen, host)),
    ...(seen.hosts.length > 0
      ? []
      : [
          problem(
            'attention',
            'No host has joined',
            'maru host token, then on the host: maru agent --join TOKEN',
          ),
        ]),
    ...authorityProblems(seen.authority, Date.parse(seen.now)),
    ...serverProblems(seen),
    ...taskProblems(seen),
  ];
}

function problem(gravity: Gravity, what: string, advice: string): CloudProblem {
  return { gravity, what, advice };
}

function controllerProblems({ controllers }: Seen): CloudProblem[] {
  return controllers.flatMap(({ name, address, alive, isolated, silence }) => {
    if (!alive) {
      const what = `Controller ${name} (${address}) has not been heard of for ${Math.round(silence / 1000)} s; others have its hosts`;
      return [
        problem(
          'failure',
          what,
          `on ${name}: sudo maru doctor; can it reach the database? It is forgotten a day after it was last heard of`,
        ),
      ];
    }
    if (!isolated) return [];
    return [
      problem(
        'outage',
        `Controller ${name} (${address}) reaches no host; others have its hosts`,
        `is the network between ${name} and the hosts up?`,
      ),
    ];
  });
}

function incarnationProblems({ hosts, incarnation }: Seen): CloudProblem[] {
  const observing = hosts.filter(({ row }) => row.observe_only === 1).map(({ row }) => row.name);
  if (observing.length === 0) return [];
  return [
    problem(
      'outage',
      `Nothing is changed on ${observing.length} host(s) (${shortList(observing)}): ${incarnation?.reason ?? 'no reason is kept'}`,
      'maru incarnation show tells what they would change; maru incarnation accept lets them',
    ),
  ];
}

function hostProblems(seen: Seen, host: SeenHost): CloudProblem[] {
  const { row, down, lastSeen, guests, faults, undelivered } = host;
  const { name, id } = row;
  const found: CloudProblem[] = [];
  if (down) {
    const with_ = guests > 0 ? `, with ${guests} server(s)` : '';
    found.push(
      problem(
        'outage',
        `Host ${name} is down (last seen ${lastSeen ?? 'never'})${with_}`,
        `on ${name}: sudo maru doctor; systemctl status maru-agent; is the network between it and the controller up?`,
      ),
    );
    const owed = owedBy(seen.tombstones.get(id), seen.holds.get(id));
    if (owed) {
      found.push(
        problem(
          'failure',
          `Host ${name} is down and ${owed}`,
          `bring it back; or, if it never comes back: maru host remove ${name}`,
        ),
      );
    }
  } else {
    if (undelivered && undelivered.ms >= UNDELIVERED_MS) {
      found.push(
        problem(
          'outage',
          `Host ${name} has not taken what it should have for ${Math.round(undelivered.ms / 1000)} s: ${undelivered.reason}`,
          `maru host show ${name}; maru doctor ${name}`,
        ),
      );
    }
    if (faults > 0) {
      found.push(
        problem(
          'failure',
          `Host ${name} could not bring about ${faults} object(s)`,
          `maru host show ${name}; maru doctor ${name}`,
        ),
      );
    }
  }
  const drift = seen.drift.get(id);
  if (drift) {
    const what = `On host ${name} ${drift} object(s) were changed by other hands and are left so`;
    found.push(problem('failure', what, `maru drift ${name}`));
  }
  const full = diskShare(host);
  if (full !== null && full >= DISK_FULL) {
    const { disk_used_gb } = host.usage!;
    found.push(
      problem(
        'failure',
        `The disk of host ${name} is ${Math.round(full * 100)} % full: ${disk_used_gb} of ${host.facts!.disk_gb} GB`,
        `at 100 % its guests pause at their next write; maru doctor ${name}; maru cleanup ${name}`,
      ),
    );
  }
  return found;
}

/** Used share of a host's disk, 0–1; null: not known. */
export function diskShare({ facts, usage }: SeenHost): number | null {
  return facts && usage && facts.disk_gb > 0 ? usage.disk_used_gb / facts.disk_gb : null;
}

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

/** What to do about certificates: expired or about to, and a replacement of the authority under way. */
function authorityProblems(authority: AuthorityStatus, now: number): CloudProblem[] {
  const problems: CloudProblem[] = [];
  for (const { name, expires_at } of authority.hosts) {
    if (!expires_at) continue;
    const left = Date.parse(expires_at) - now;
    if (left < 0) {
      problems.push(
        problem(
          'outage',
          `The certificate of host ${name} expired at ${expires_at}: it is let in no more`,
          `maru host token --name ${name}, then on the host: maru agent --join TOKEN`,
        ),
      );
    } else if (left < HOST_CERTIFICATE_DAYS * DAY_MS) {
      problems.push(
        problem(
          'attention',
          `The certificate of host ${name} expires at ${expires_at}, in ${days(left)}, and was not renewed`,
          `its agent renews it by itself when it reaches the controller; maru doctor ${name}`,
        ),
      );
    }
  }
  for (const { fingerprint, expires_at } of authority.authorities) {
    const left = Date.parse(expires_at) - now;
    if (!(left < AUTHORITY_DAYS * DAY_MS)) continue;
    const when = left < 0 ? `expired at ${expires_at}` : `expires at ${expires_at}, in ${days(left)}`;
    const what = `The certificate authority ${fingerprint.slice(0, 12)} ${when}: then no host and no controller believes another`;
    problems.push(problem(left < 0 ? 'outage' : 'attention', what, 'maru ca rotate; maru ca show'));
  }
  if (authority.phase === 'none') return problems;
  const waiting = authority.waiting_for;
  const doing = authority.phase === 'rotating' ? 'is being replaced' : 'is being given back';
  const state =
    waiting.length > 0 ? `${waiting.length} host(s) wait (${shortList(waiting)})` : 'all hosts are ready';
  const advice = waiting.length > 0 ? 'maru ca show' : 'maru ca finish';
  return [...problems, problem('attention', `The certificate authority ${doing}: ${state}`, advice)];
}

function serverProblems({ errored }: Seen): CloudProblem[] {
  const more = errored.total - errored.rows.length;
  return [
    ...errored.rows.map(({ id, name, fault }) =>
      problem(
        'failure',
        `Server ${name} is ERROR: ${fault ? (JSON.parse(fault) as { message: string }).message : 'no reason is kept'}`,
        `maru server explain ${id}`,
      ),
    ),
    ...(more > 0
      ? [
          problem(
            'failure',
            `${more} more server(s) are in ERROR`,
            'openstack server list --all-projects --status ERROR',
          ),
        ]
      : []),
  ];
}

function taskProblems({ tasks, now }: Seen): CloudProblem[] {
  const more = tasks.total - tasks.rows.length;
  return [
    ...tasks.rows.map((task) => {
      const about = task.server ? `server ${task.server}` : `${task.object_kind} ${task.object_id}`;
      const late = task.deadline !== null && task.deadline < now ? `, overdue since ${task.deadline}` : '';
      const why = task.error ?? (task.waiting_for ? `waits for ${task.waiting_for}` : 'no reason is kept');
      return problem(
        'failure',
        `Task ${task.kind} of ${about} is at step ${task.step}${late}: ${why}`,
        task.server
          ? `maru server explain ${task.object_id}; maru task show ${task.id}`
          : `maru task show ${task.id}`,
      );
    }),
    ...(more > 0
      ? [problem('failure', `${more} more task(s) are late or in trouble`, 'maru task list')]
      : []),
  ];
}

function days(ms: number): string {
  return ms < 2 * DAY_MS ? `${Math.round(ms / 3_600_000)} h` : `${Math.floor(ms / DAY_MS)} days`;
}

/** The first five names. */
export function shortList(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} …` : names.join(', ');
}
