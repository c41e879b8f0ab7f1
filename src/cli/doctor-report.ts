import type { DoctorFinding, DoctorReport } from '../protocol/doctor.js';

/** Prints a report: what is wrong first, each with what mends it; then warnings; what is fine only when asked. */
export function printReport(report: DoctorReport, verbose: boolean): void {
  process.stdout.write(reportText(report, verbose));
}

/** The text of a report. */
export function reportText(
  { host, roles, phase, findings, fine, unknown }: DoctorReport,
  verbose: boolean,
): string {
  const wrong = findings.filter(({ severity }) => severity === 'wrong');
  const warnings = findings.filter(({ severity }) => severity === 'warning');
  const counts = [
    wrong.length > 0 ? `${wrong.length} wrong` : 'nothing wrong',
    ...(warnings.length > 0 ? [`${warnings.length} warning${warnings.length > 1 ? 's' : ''}`] : []),
    `${fine.length} fine`,
    ...(unknown.length > 0 ? [`${unknown.length} not looked at`] : []),
  ];
  const as = phase === 'before' ? `to become ${roles.join(' and ')}` : roles.join(' and ');
  const lines = [`${host} (${as}): ${counts.join(', ')}`];
  for (const finding of [...wrong, ...warnings]) lines.push('', ...findingLines(finding));
  if (verbose) {
    if (fine.length > 0) lines.push('');
    for (const { check, title } of fine) lines.push(`fine     ${title} (${check})`);
    if (unknown.length > 0) lines.push('');
    for (const { check, title, because } of unknown) lines.push(`unknown  ${title} (${check}): ${because}`);
  } else if (unknown.length > 0) {
    lines.push('', 'maru doctor --verbose says what was not looked at, and why');
  }
  return `${lines.join('\n')}\n\n`;
}

function findingLines({ severity, what, why, mend, check }: DoctorFinding): string[] {
  const label = severity === 'wrong' ? 'WRONG    ' : 'warning  ';
  return [
    `${label}${what}  [${check}]`,
    `         ${why}`,
    ...mend.map((command) => (command.startsWith('#') ? `           ${command}` : `         $ ${command}`)),
  ];
}
