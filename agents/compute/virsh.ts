import type { Logger } from '../../src/protocol/log.js';
import { CommandError, type CommandOptions, type Host, type Pipe } from '../host/host.js';

/** How libvirt is talked to. Changes are processes of their own; queries share one, which answers in about a millisecond. */
export interface Virsh {
  /** Runs a command that changes nothing; rejects with CommandError. No argument may contain blanks or quotes. */
  query(...args: readonly string[]): Promise<string>;
  /** Runs a command that changes something. */
  change(args: readonly string[], options?: CommandOptions): Promise<void>;
  close(): void;
}

const QUERY_TIMEOUT_MS = 15_000;

/** Opens the conversation with the first query, and anew after libvirtd or the process went away. */
export function createVirsh(host: Host, uri: string, log: Logger): Virsh {
  let shell: VirshShell | null = null;

  return {
    async query(...args) {
      for (let attempt = 1; ; attempt++) {
        shell ??= new VirshShell(host, uri);
        const used = shell;
        try {
          return await used.ask(args.join(' '));
        } catch (error) {
          if (!(error instanceof ConversationLost)) throw error;
          used.close();
          if (shell === used) shell = null;
          if (attempt >= 2)
            throw new CommandError(shown(uri, args), null, error.message, 'libvirt does not answer');
          log.warn('conversation with virsh lost, opening another', { reason: error.message });
        }
      }
    },
    async change(args, options) {
      await host.run('virsh', ['-q', '-c', uri, ...args], options);
    },
    close() {
      shell?.close();
      shell = null;
    },
  };
}

/**
 * True when a domain could not be looked up. It proves nothing: virsh says the same of a domain that is not there and of a libvirtd
 * that did not answer, and keeps the reason to itself.
 */
export function isLookupFailure(error: unknown): boolean {
  return (
    error instanceof CommandError &&
    /failed to get domain|Domain not found|no domain with matching/i.test(error.stderr)
  );
}

class ConversationLost extends Error {}

interface Question {
  readonly command: string;
  readonly marker: string;
  readonly out: string[];
  readonly err: string[];
  outDone: boolean;
  errDone: boolean;
  resolve(text: string): void;
  reject(error: Error): void;
}

/**
 * An interactive virsh. After each command follow a marker on stdout (`echo`) and one on stderr (a command that does not exist,
 * whose complaint names it): so what a command said on either is complete, and the next can be asked before it is answered.
 */
class VirshShell {
  readonly #pipe: Pipe;
  readonly #uri: string;
  readonly #open: Question[] = [];
  #count = 0;
  #ended = false;

  constructor(host: Host, uri: string) {
    this.#uri = uri;
    this.#pipe = host.openPipe('stdbuf', ['-oL', 'virsh', '-q', '-c', uri]);
    this.#pipe.onLine((line) => this.#onLine(line));
    this.#pipe.onStderr((line) => this.#onStderr(line));
    this.#pipe.onExit((code) => this.#fail(`virsh ended with ${code}`));
  }

  ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(new ConversationLost('virsh has ended'));
      const marker = `@@${++this.#count}@@`;
      const timer = setTimeout(
        () => this.#fail(`no answer to '${command}' within ${QUERY_TIMEOUT_MS} ms`),
        QUERY_TIMEOUT_MS,
      );
      this.#open.push({
        command,
        marker,
        out: [],
        err: [],
        outDone: false,
        errDone: false,
        resolve: (text) => {
          clearTimeout(timer);
          resolve(text);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#pipe.write(command);
      this.#pipe.write(`echo ${marker}`);
      this.#pipe.write(marker);
    });
  }

  close(): void {
    this.#fail('closed');
    this.#pipe.close();
  }

  #onLine(line: string): void {
    const question = this.#open.find((q) => !q.outDone);
    if (!question) return;
    // the prompt repeats each command that it reads, and quiet output may end without a newline before it
    const prompt = line.indexOf('virsh # ');
    const text = prompt < 0 ? line : line.slice(0, prompt);
    if (text.includes(question.marker)) {
      question.outDone = true;
      this.#settle();
    } else if (prompt < 0 || text !== '') question.out.push(text);
  }

  #onStderr(line: string): void {
    const question = this.#open.find((q) => !q.errDone);
    if (!question) return;
    if (line.includes(question.marker)) {
      question.errDone = true;
      this.#settle();
    } else question.err.push(line);
  }

  #settle(): void {
    for (let first = this.#open[0]; first?.outDone && first.errDone; first = this.#open[0]) {
      this.#open.shift();
      const stderr = first.err.join('\n');
      // virsh reconnects by itself, but its answer to this question is lost
      if (
        /Disconnected from|client socket is closed|end of file while reading|failed to connect/i.test(stderr)
      ) {
        first.reject(new ConversationLost(stderr));
      } else if (/^error: /m.test(stderr)) {
        first.reject(new CommandError(shown(this.#uri, [first.command]), 1, stderr, 'exit code 1'));
      } else first.resolve(first.out.join('\n'));
    }
  }

  #fail(reason: string): void {
    this.#ended = true;
    // what it said on its way out, such as `failed to connect to the hypervisor`
    const said = this.#open.flatMap((question) => question.err).join('\n');
    for (const question of this.#open.splice(0)) {
      question.reject(new ConversationLost(said ? `${reason}: ${said}` : reason));
    }
  }
}

function shown(uri: string, args: readonly string[]): string {
  return `virsh -c ${uri} ${args.join(' ')}`;
}
