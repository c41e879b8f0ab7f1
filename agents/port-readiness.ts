import type { ObjectError, ObjectReport } from '../src/protocol/messages.js';
import type { NetworkPart } from './network/part.js';

/** The network part, with an answer to whether a port's tap is plugged and its firewall complete. */
export interface NetworkWithPorts {
  readonly part: NetworkPart;
  /** Null once the port was applied; else why a guest must not start with it. */
  portReady(portId: string): ObjectError | null;
}

/** Remembers what the network part reported of each port. */
export function watchPorts(network: NetworkPart): NetworkWithPorts {
  const ports = new Map<string, ObjectReport>();
  const part: NetworkPart = {
    name: network.name,
    async apply(request) {
      const reports = await network.apply(request);
      for (const report of reports) {
        if (!report.key.startsWith('port/')) continue;
        if (report.state === 'gone') ports.delete(report.key);
        else ports.set(report.key, report);
      }
      return reports;
    },
    plan: (spec) => network.plan(spec),
    probe: (request) => network.probe(request),
    ...(network.orphans ? { orphans: (spec) => network.orphans?.(spec) ?? Promise.resolve([]) } : {}),
    ...(network.removeOrphan ? { removeOrphan: async (orphan) => network.removeOrphan?.(orphan) } : {}),
    ...(network.watch ? { watch: (changed, suspect) => network.watch?.(changed, suspect) } : {}),
    ...(network.housekeeping ? { housekeeping: async (spec) => network.housekeeping?.(spec) } : {}),
    close: async () => network.close?.(),
  };
  return {
    part,
    portReady(portId) {
      const report = ports.get(`port/${portId}`);
      if (!report) return { message: `port ${portId} is not set up on this host yet` };
      if (report.state === 'applied') return null;
      const reason = report.error?.message ?? 'no reason given';
      return { ...report.error, message: `port ${portId} could not be set up: ${reason}` };
    },
  };
}
