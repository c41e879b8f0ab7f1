import type { Host } from '../host/host.js';
import { serverDirectory } from '../storage/paths.js';

/** What the agent remembers of a server beyond what libvirt knows: what it has brought about, and what it is about to. */
export interface ServerRecord {
  /** Newest ownership epoch ever seen; nothing is done for an older one. */
  readonly run_epoch: number;
  /** Revision of the last object that was applied completely. */
  readonly revision: string | null;
  /** The power state that was last reached; a guest that leaves `running` by itself stays off. */
  readonly power: 'running' | 'stopped' | null;
  /** Boot of the host in which it was reached: guests end with the host without having stopped. */
  readonly boot_id: string;
  /** Reboots that were carried out. */
  readonly reboot: { readonly soft: number; readonly hard: number };
  /** A start that was begun and whose success is not yet noted. */
  readonly starting: boolean;
  /** The guest was asked by ACPI to shut down: when last, and until when (ms) it may take. */
  readonly stopping: { readonly asked: number; readonly deadline: number } | null;
  readonly launched_at: string | null;
  /** Digest of the definition as libvirt had it after it was applied; absent: not known, as in records of earlier releases. */
  readonly definition?: string;
}

/** The record of a server that was never seen. */
export function newRecord(bootId: string): ServerRecord {
  return {
    run_epoch: 0,
    revision: null,
    power: null,
    boot_id: bootId,
    reboot: { soft: 0, hard: 0 },
    starting: false,
    stopping: null,
    launched_at: null,
  };
}

/** Reads a server's record; null when there is none. */
export async function readRecord(
  host: Host,
  stateDir: string,
  serverId: string,
): Promise<ServerRecord | null> {
  const text = await host.readFileIfExists(recordFile(stateDir, serverId));
  return text === null ? null : (JSON.parse(text) as ServerRecord);
}

/** Writes a server's record; it is on the disk when this resolves. */
export async function writeRecord(
  host: Host,
  stateDir: string,
  serverId: string,
  record: ServerRecord,
): Promise<void> {
  await host.makeDirectory(serverDirectory(stateDir, serverId), 0o711);
  await host.writeFile(recordFile(stateDir, serverId), `${JSON.stringify(record)}\n`, 0o600);
}

function recordFile(stateDir: string, serverId: string): string {
  return `${serverDirectory(stateDir, serverId)}/agent.json`;
}
