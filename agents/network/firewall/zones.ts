import type { NetworkContext } from '../config.js';

/** The numbers as they are kept on disk, by network. */
export async function readZoneNumbers(context: NetworkContext): Promise<Map<string, number>> {
  const text = await context.host.readFileIfExists(zonesFile(context));
  return new Map(text === null ? [] : Object.entries(JSON.parse(text) as Record<string, number>));
}

function zonesFile({ config }: NetworkContext): string {
  return `${config.state_dir}/network/zones.json`;
}

const FIRST = 1;
const LAST = 65_535;

/**
 * Numbers of the conntrack zones of this host's networks. They are kept on disk: a network whose number changed would lose
 * its connections.
 */
export class ZoneNumbers {
  readonly #context: NetworkContext;
  #numbers: Map<string, number> | null = null;
  #dirty = false;

  constructor(context: NetworkContext) {
    this.#context = context;
  }

  get #file(): string {
    return zonesFile(this.#context);
  }

  /** Reads the file once. */
  async load(): Promise<void> {
    if (this.#numbers) return;
    this.#numbers = await readZoneNumbers(this.#context);
  }

  /** The number of a network's zone; a new one is the lowest that is free. */
  of(networkId: string): number {
    const numbers = this.#numbers!;
    const known = numbers.get(networkId);
    if (known !== undefined) return known;
    const used = new Set(numbers.values());
    let number = FIRST;
    while (used.has(number)) number++;
    if (number > LAST) throw new Error(`all ${LAST} conntrack zones of this host are in use`);
    numbers.set(networkId, number);
    this.#dirty = true;
    return number;
  }

  /** Gives back the numbers of networks that are gone, and returns them. */
  keepOnly(networkIds: ReadonlySet<string>): number[] {
    const released: number[] = [];
    for (const [id, number] of this.#numbers!) {
      if (networkIds.has(id)) continue;
      this.#numbers!.delete(id);
      this.#dirty = true;
      released.push(number);
    }
    return released;
  }

  /** Writes the numbers if they changed: before they are used. */
  async save(): Promise<void> {
    if (!this.#dirty) return;
    const { host, config } = this.#context;
    await host.makeDirectory(`${config.state_dir}/network`, 0o755);
    await host.writeFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#numbers!))}\n`, 0o600);
    this.#dirty = false;
  }
}
