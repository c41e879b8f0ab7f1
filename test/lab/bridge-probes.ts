import type { ChildProcess } from 'node:child_process';
import { until } from './bridge-takeover-lab.js';

/** A network namespace in which programs can be started; the process is the program itself. */
export interface End {
  start(command: string, args: readonly string[]): ChildProcess;
}

/** The host whose uplink is taken over, and the other side of its cable. */
export interface Ends {
  readonly host: End;
  readonly outside: End;
}

export interface ProbedAddresses {
  /** Of the host, probed from outside. */
  readonly host4: string;
  readonly host6: string;
  /** Probed from the host, by its default routes. */
  readonly far4: string;
  readonly far6: string;
}

/** Pings every 10 ms in both directions and families, and a TCP connection from outside, while something else happens. */
export class Probes {
  readonly #streams: readonly { readonly name: string; readonly process: ChildProcess; output: string }[];
  readonly #client: ChildProcess;
  readonly #server: ChildProcess;
  #said = '';

  private constructor({ host, outside }: Ends, { host4, host6, far4, far6 }: ProbedAddresses) {
    const stream = (name: string, machine: End, address: string) => {
      const started = {
        name,
        process: machine.start('ping', ['-n', '-i', '0.01', '-w', '400', address]),
        output: '',
      };
      started.process.stdout?.on('data', (chunk) => {
        started.output += String(chunk);
      });
      return started;
    };
    this.#streams = [
      stream('in v4', outside, host4),
      stream('in v6', outside, host6),
      stream('out v4', host, far4),
      stream('out v6', host, far6),
    ];
    this.#server = host.start('socat', ['TCP-LISTEN:2222,reuseaddr', 'EXEC:cat']);
    this.#client = outside.start('socat', ['-', `TCP:${host4}:2222,retry=50,interval=0.1`]);
    this.#client.stdout?.on('data', (chunk) => {
      this.#said += String(chunk);
    });
  }

  /** Resolves when every stream has had answers and the connection is there. */
  static async start(ends: Ends, addresses: ProbedAddresses): Promise<Probes> {
    const probes = new Probes(ends, addresses);
    await until('probes are answered', async () =>
      probes.#streams.every(({ output }) => received(output).length > 10),
    );
    await probes.#echo('before');
    return probes;
  }

  /** How many probes of each stream were lost between the first and the last that were answered; printed too. */
  async finish(what: string): Promise<Record<string, number | 'alive'>> {
    // what came late under load counts as answered: so some more answers are waited for
    const counts = this.#streams.map(({ output }) => received(output).length);
    await until('probes are answered again', async () =>
      this.#streams.every(({ output }, index) => received(output).length > counts[index]! + 20),
    );
    const last = this.#streams.map(({ output }) => Math.max(...received(output)));
    await this.#echo('after');
    const lost = this.#streams.map(({ name, output }, index) => {
      const answered = new Set(received(output));
      const missing = Array.from({ length: last[index]! }, (_, i) => i + 1).filter(
        (seq) => !answered.has(seq),
      );
      return [name, missing.length, last[index]!] as const;
    });
    for (const process of [...this.#streams.map((stream) => stream.process), this.#client, this.#server])
      process.kill('SIGKILL');
    console.log(
      `${what}: ${lost.map(([name, gone, of]) => `${name} ${gone} of ${of} lost`).join(', ')}; TCP alive`,
    );
    return { ...Object.fromEntries(lost.map(([name, gone]) => [name, gone])), connection: 'alive' };
  }

  async #echo(word: string): Promise<void> {
    this.#client.stdin?.write(`${word}\n`);
    await until(`the connection echoes '${word}'`, async () => this.#said.includes(`${word}\n`));
  }
}

/** Sequence numbers of the answered probes. */
function received(output: string): readonly number[] {
  return [...output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, seq]) => Number(seq));
}
