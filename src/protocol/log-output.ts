import { createLogger, type Logger, type LogLevel } from './log.js';
import { LogFile } from './log-file.js';
import { fileSource, type LogSource, type RunCommand, standardOutputSource } from './log-source.js';

/** What a program's section says of its log: see LOG_KEYS. */
export interface LogSettings {
  readonly log_level: LogLevel;
  readonly log_file: string | null;
  readonly log_file_size_mb: number;
  readonly log_files_kept: number;
}

/**
 * The logger of a program, and where its lines can be read again. The level is asked for at each line: it may change while the
 * program runs. Throws when the log file cannot be opened.
 */
export function createProgramLog(
  settings: LogSettings,
  fields: Record<string, unknown>,
  run: RunCommand,
): { readonly log: Logger; readonly source: LogSource } {
  const level = () => settings.log_level;
  const { log_file: path, log_files_kept: kept } = settings;
  if (path === null) return { log: createLogger(level, fields), source: standardOutputSource(run) };
  const file = new LogFile({ path, kept, maxBytes: settings.log_file_size_mb * 1024 * 1024 });
  return {
    log: createLogger(level, fields, (line) => file.write(line)),
    source: fileSource(path, kept),
  };
}
