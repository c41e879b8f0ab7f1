import { mappingWarnings } from '../network/provider-problems.js';
import { diskShare, shortList } from './problems.js';
import type { Seen } from './status.js';

const DISK_NEARLY_FULL = 0.85;
const DISK_FULL = 0.95;
const MEMORY_NEARLY_FULL = 0.97;
const NEARLY_GIVEN_OUT = 0.95;
const LARGE_DATABASE = 8 * 1024 ** 3;
const RESOURCES: Readonly<Record<string, string>> = {
  VCPU: 'vCPUs',
  MEMORY_MB: 'MB of memory',
  DISK_GB: 'GB of disk',
};

/** What an operator should know of, though nothing need be done at night. Pure. */
export function warningsOf(seen: Seen): string[] {
  return [
    ...seen.hosts.flatMap((host) => {
      const { row, facts, usage } = host;
      const disk = diskShare(host);
      const orphans = seen.orphans.get(row.id);
      const memory = facts && usage && facts.memory_mb > 0 ? usage.memory_used_mb / facts.memory_mb : 0;
      return [
        ...(row.simulated === 1 ? [`${row.name}: simulated, nothing on it is real`] : []),
        ...(row.enabled === 1
          ? []
          : [
              `${row.name}: disabled${row.disabled_reason ? ` (${row.disabled_reason})` : ''}, gets no new servers`,
            ]),
        ...(disk !== null && disk >= DISK_NEARLY_FULL && disk < DISK_FULL
          ? [`${row.name}: its disk is ${Math.round(disk * 100)} % full`]
          : []),
        ...(memory >= MEMORY_NEARLY_FULL
          ? [`${row.name}: ${Math.round(memory * 100)} % of its memory are in use`]
          : []),
        ...(orphans
          ? [
              `${row.name}: has ${orphans.count} thing(s) that nothing names, the oldest since ${orphans.oldest} (maru cleanup ${row.name})`,
            ]
          : []),
        ...[...(facts?.warnings ?? []), ...mappingWarnings(facts)].map(
          (warning) => `${row.name}: ${warning}`,
        ),
      ];
    }),
    ...versionWarnings(seen),
    ...seen.capacity
      .filter(({ capacity, used }) => capacity > 0 && used / capacity >= NEARLY_GIVEN_OUT)
      .map(
        ({ resource_class, capacity, used }) =>
          `${used} of ${capacity} ${RESOURCES[resource_class] ?? resource_class} are given out: hardly a server fits any more`,
      ),
    ...(seen.databaseBytes >= LARGE_DATABASE
      ? [`the database takes ${Math.round(seen.databaseBytes / 1024 ** 3)} GiB`]
      : []),
  ];
}

/** Agents of another release than the controller work one apart, and not for ever. */
function versionWarnings({ hosts, version }: Seen): string[] {
  const others = new Map<string, string[]>();
  for (const { row, facts } of hosts) {
    const theirs = facts?.agent_version;
    if (theirs && theirs !== version) others.set(theirs, [...(others.get(theirs) ?? []), row.name]);
  }
  return [...others].map(
    ([theirs, names]) => `agents of version ${theirs}, the controller is ${version}: ${shortList(names)}`,
  );
}
