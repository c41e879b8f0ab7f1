import type { DoctorReport } from '../../src/protocol/doctor.js';
import type { AgentConfig } from '../config.js';
import type { Host } from '../host/host.js';
import { examine } from './doctor.js';
import { settingsOf } from './settings.js';

/** Looks at the machine of a running agent, for its controller. `configFile` is only named, not read. */
export async function examineHost(
  host: Host,
  config: AgentConfig,
  configFile: string,
): Promise<DoctorReport> {
  if (host.simulated) return simulated(host, config);
  const settings = { file: configFile, problem: null, host: settingsOf(config), controller: null };
  return await examine({ host, settings, roles: ['host'], phase: 'installed' });
}

/** A pretended machine has no faults that anybody could mend. */
function simulated(host: Host, config: AgentConfig): DoctorReport {
  return {
    host: config.name,
    roles: ['host'],
    phase: 'installed',
    at: host.now().toISOString(),
    took_ms: 0,
    findings: [
      {
        check: 'simulated',
        severity: 'warning',
        what: 'This host is simulated: there is no machine to look at',
        why: 'its guests and networks exist only in the memory of its agent',
        mend: [],
      },
    ],
    fine: [],
    unknown: [],
  };
}

/** The same for all who ask while it is being answered: each look costs the machine some processes. */
export function shared<T>(body: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return () => {
    running ??= body().finally(() => {
      running = null;
    });
    return running;
  };
}
