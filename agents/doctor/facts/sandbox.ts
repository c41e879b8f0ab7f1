import {
  closedDirectories,
  readOpened,
  type UnitProgram,
  type WrittenPaths,
} from '../../../src/protocol/unit-paths.js';
import type { Facts, Settings } from '../facts.js';
import type { Look } from '../look.js';
import { ownTlsDirectory } from './own-tls.js';

type Closed = Extract<Facts['closed'], { known: true }>['value'];

/** What the configuration names and the sandboxes of our units, where they are installed, do not let their programs write to. */
export async function readClosed(look: Look, { host, controller, problem }: Settings): Promise<Closed> {
  // what a file that cannot be used would name is not known
  if (problem !== null) return [];
  const files = { read: (path: string) => look.file(path), list: (path: string) => look.list(path) };
  const closedTo = async (program: UnitProgram, paths: WrittenPaths): Promise<Closed> => {
    const opened = await readOpened(program, files);
    if (opened === null) return [];
    return closedDirectories(program, paths, opened).map((one) => ({ program, ...one }));
  };
  const own = await ownTlsDirectory(look, controller?.tls_cert_file);
  return [
    ...(controller ? await closedTo('controller', { ...controller, own_tls_directory: own }) : []),
    ...(host ? await closedTo('agent', { state_dir: host.state_dir, log_file: host.log_file }) : []),
  ];
}
