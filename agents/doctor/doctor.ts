import type { DoctorFinding, DoctorReport, Role } from '../../src/protocol/doctor.js';
import type { Host } from '../host/host.js';
import { RealHost } from '../host/real.js';
import { CHECKS } from './checks.js';
import type { DatabaseFacts, Facts, Settings } from './facts.js';
import { gatherFacts } from './gather.js';

export interface ExamineOptions {
  readonly settings: Settings;
  readonly roles: readonly Role[];
  /** before: whether the machine would do. */
  readonly phase: DoctorReport['phase'];
  /** Another machine than this one. */
  readonly host?: Host;
  /** What only the controller's program can see. */
  readonly database?: () => Promise<DatabaseFacts>;
}

/** Looks at this machine and says what is wrong with it. Changes nothing; takes seconds, also where commands hang. */
export async function examine(options: ExamineOptions): Promise<DoctorReport> {
  const host = options.host ?? new RealHost();
  const begun = performance.now();
  const facts = await gatherFacts({ ...options, host });
  return judge(facts, Math.round(performance.now() - begun));
}

/** The same of facts that were gathered: pure. */
export function judge(facts: Facts, tookMs = 0): DoctorReport {
  const findings: DoctorFinding[] = [];
  const fine: { check: string; title: string }[] = [];
  const unknown: { check: string; title: string; because: string }[] = [];
  for (const { id, title, roles, phase, needs, find } of CHECKS) {
    if (!roles.some((role) => facts.roles.includes(role))) continue;
    if (phase !== undefined && phase !== facts.phase) continue;
    const missing = needs.map((name) => facts[name]).find((one) => !one.known);
    if (missing && !missing.known) {
      unknown.push({ check: id, title, because: missing.because });
      continue;
    }
    const found = find(facts);
    findings.push(...found.map((one) => ({ check: id, ...one })));
    if (found.length === 0) fine.push({ check: id, title });
  }
  const name =
    facts.settings.host?.name ?? (facts.system.known ? facts.system.value.hostname : 'this machine');
  return {
    host: name,
    roles: facts.roles,
    phase: facts.phase,
    at: facts.now,
    took_ms: tookMs,
    findings: [
      ...findings.filter(({ severity }) => severity === 'wrong'),
      ...findings.filter(({ severity }) => severity === 'warning'),
    ],
    fine,
    unknown,
  };
}
