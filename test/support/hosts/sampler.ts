import type { FaultCloud } from './fault-cloud.js';

/** Looks at all machines again and again: whatever is under way, no server may run twice and no address be in use twice. */
export class Sampler {
  readonly found = new Set<string>();
  /** What was looked at: servers, MACs and addresses in use at some time. */
  readonly seen = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(cloud: FaultCloud) {
    this.#timer = setInterval(() => this.#look(cloud), 3);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(cloud: FaultCloud): void {
    const at = new Map<string, string>();
    const once = (what: string, where: string) => {
      this.seen.add(what);
      const other = at.get(what);
      if (other !== undefined && other !== where)
        this.found.add(`${what} is in use by ${other} and by ${where}`);
      at.set(what, where);
    };
    for (const [host, machine] of cloud.machines) {
      const running = [...machine.domains.values()].filter((domain) => domain.running !== null);
      for (const { uuid, running: xml } of running) {
        once(`server ${uuid}`, host);
        for (const [, mac] of xml?.matchAll(/<mac address="([^"]+)"/g) ?? [])
          once(`MAC ${mac}`, `${uuid} on ${host}`);
        for (const [, tap] of xml?.matchAll(/<target dev="(tap[^"]+)"/g) ?? []) {
          for (const address of addressesOf(machine, tap ?? ''))
            once(`address ${address}`, `${tap} on ${host}`);
        }
      }
    }
  }
}

/** Addresses that the host's port security lets a device use. */
function addressesOf(
  machine: { netns(name: string): { nft: Map<string, { sets: Map<string, { elements: Set<string> }> }> } },
  tap: string,
): string[] {
  const found: string[] = [];
  for (const table of machine.netns('').nft.values()) {
    for (const set of table.sets.values()) {
      for (const element of set.elements) {
        const parts = element.split(' . ').map((part) => part.replaceAll('"', ''));
        const address = parts.find((part) => /^\d+\.\d+\.\d+\.\d+$/.test(part));
        if (address && address !== '10.0.0.50' && parts.includes(tap)) found.push(address);
      }
    }
  }
  return found;
}
