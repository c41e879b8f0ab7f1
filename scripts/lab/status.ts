import { programStates, supervisorPids } from './control.js';
import { initPid } from './host.js';
import { hostAddress, type LabNames, labFiles } from './names.js';
import { labNamespaces } from './network.js';
import type { ProgramState } from './program.js';
import { readSettings } from './settings.js';

export interface LabStatus {
  readonly name: string;
  /** Everything that should run does. */
  readonly running: boolean;
  readonly endpoint: string | null;
  readonly supervisor: number | null;
  readonly controller: ProgramState | null;
  readonly hosts: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly underlay_ip: string;
    readonly init_pid: number | null;
    readonly agent: ProgramState | null;
  }[];
  readonly namespaces: readonly string[];
  readonly files: {
    readonly clouds: string;
    readonly logs: string;
    readonly tiny_image: string;
    readonly demo_key: string;
  };
}

/** What there is of a lab; null when there is nothing. */
export async function labStatus(lab: LabNames): Promise<LabStatus | null> {
  const settings = await readSettings(lab);
  const namespaces = await labNamespaces(lab);
  if (!settings && namespaces.length === 0) return null;
  const files = labFiles(lab);
  const programs = (await programStates(lab)) ?? [];
  const named = (name: string) => programs.find((program) => program.name === name) ?? null;
  const hosts = [];
  for (let number = 1; number <= (settings?.hosts ?? 0); number++) {
    const name = `host${number}`;
    hosts.push({
      name,
      namespace: lab.hostNs(name),
      underlay_ip: hostAddress(name),
      init_pid: await initPid(lab, name),
      agent: named(`agent-${name}`),
    });
  }
  const supervisor = supervisorPids(lab)[0] ?? null;
  const controller = named('controller');
  const running =
    !!supervisor && !!controller?.pid && hosts.every((host) => host.init_pid && host.agent?.pid);
  return {
    name: lab.name,
    running,
    endpoint: settings ? `http://127.0.0.1:${settings.apiPort}` : null,
    supervisor,
    controller,
    hosts,
    namespaces,
    files: { clouds: files.clouds, logs: files.logs, tiny_image: files.tinyImage, demo_key: files.demoKey },
  };
}
