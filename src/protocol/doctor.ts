/** What a machine does for the cloud. */
export type Role = 'host' | 'controller';

/** Something that `maru doctor` found. */
export interface DoctorFinding {
  /** Id of the check, such as `bridge-without-port`. */
  readonly check: string;
  /** wrong: something does not work, or will not after the next boot; warning: it works, but worse or not for long. */
  readonly severity: 'wrong' | 'warning';
  /** What was found, with its numbers and names. */
  readonly what: string;
  /** What comes of it. */
  readonly why: string;
  /** Commands to paste, in order; a line that begins with `#` is for a human. */
  readonly mend: readonly string[];
}

/** GET /v1/doctor, controller → agent: what is wrong with one machine. Findings are sorted, the gravest first. */
export interface DoctorReport {
  readonly host: string;
  readonly roles: readonly Role[];
  /** before: whether the machine would do; installed: whether what is there works. */
  readonly phase: 'before' | 'installed';
  readonly at: string;
  readonly took_ms: number;
  readonly findings: readonly DoctorFinding[];
  /** Checks that found nothing. */
  readonly fine: readonly { readonly check: string; readonly title: string }[];
  /** Checks that could not look, and why. */
  readonly unknown: readonly { readonly check: string; readonly title: string; readonly because: string }[];
}
