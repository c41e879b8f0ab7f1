import { key } from './config/key.js';
import { integer, oneOf, optional, path } from './config/types.js';
import { LOG_LEVELS } from './log.js';

/** What each program's section says about its log. */
export const LOG_KEYS = {
  log_level: key(oneOf(...LOG_LEVELS), {
    default: 'info',
    reload: true,
    description:
      'Least weight of what is logged. info has every request that changes something and the commands run for it; debug also reads.',
  }),
  log_file: key(optional(path()), {
    default: null,
    description:
      'File to log to, made with mode 0640; without one the log goes to standard output, which systemd keeps in its journal. ' +
      '`maru logs` reads either.',
  }),
  log_file_size_mb: key(integer({ min: 1, max: 10_240 }), {
    default: 50,
    unit: 'MB',
    description:
      'A log file that has grown to this size is put aside as LOG_FILE.1, the one before it as LOG_FILE.2, and so on.',
  }),
  log_files_kept: key(integer({ min: 1, max: 100 }), {
    default: 5,
    description: 'How many log files put aside are kept.',
  }),
};
