/** A failure that needs no stack trace: its message says what is wrong and what to do. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** The controller gave no answer at all. */
export class NoAnswer extends CliError {}

/** A reply has not ended in time. */
export class NoReplyInTime extends Error {
  readonly seconds: number;

  constructor(seconds: number) {
    super(`no reply within ${seconds} s`);
    this.seconds = seconds;
  }
}
