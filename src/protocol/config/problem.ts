/** Something about a configuration file, and where it stands. */
export interface Problem {
  readonly file: string;
  /** From 1; null: about the file as a whole. */
  readonly line: number | null;
  readonly column: number | null;
  /** A warning keeps nothing from starting. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** What to do about it; empty when the message says enough. */
  readonly hint: string;
}

/** `FILE:LINE:COLUMN: error: what is wrong; what to do`, as editors and compilers understand it. */
export function describeProblem({ file, line, column, severity, message, hint }: Problem): string {
  const place = line === null ? file : `${file}:${line}:${column}`;
  return `${place}: ${severity}: ${message}${hint ? `; ${hint}` : ''}`;
}

/** The order of the file; what concerns it as a whole comes first. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** A configuration that cannot be used; the message has every error of the file, one a line. */
export class ConfigInvalid extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'));
    this.name = 'ConfigInvalid';
    this.problems = problems;
  }
}
