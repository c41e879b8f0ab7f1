import { createInterface } from 'node:readline';
import type { Machine } from './network-lab.js';

/** What comes ends its wait; this bounds the wait for what does not. */
const PATIENCE_S = 20;

/** Answers every line on a TCP port with the same line, and `who` with the client's address, until the machine stops. */
export async function startEcho(machine: Machine, port: number): Promise<void> {
  const child = machine.start('python3', ['-u', '-c', ECHO_SERVER, `${port}`]);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
}

/** A TCP connection that stays open. */
export class Connection {
  readonly #answers: string[] = [];
  readonly #child;
  #wake: (() => void) | null = null;
  #ended = false;

  private constructor(child: ReturnType<Machine['start']>) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#answers.push(line);
      this.#wake?.();
    });
    child.once('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** Connects, or rejects. */
  static async open(
    machine: Machine,
    address: string,
    port: number,
    seconds = PATIENCE_S,
  ): Promise<Connection> {
    const args = ['-u', '-c', CLIENT, address, `${port}`, `${seconds}`];
    const connection = new Connection(machine.start('python3', args));
    const said = await connection.#next();
    if (said === 'connected') return connection;
    connection.close();
    throw new Error(`no connection to ${address}:${port}: ${said}`);
  }

  /** Whether a line sent now comes back. */
  async echoes(): Promise<boolean> {
    return (await this.#ask('hello', PATIENCE_S)) === 'hello';
  }

  /** Whether a line sent now does not come back for a second and a half. */
  async isCut(): Promise<boolean> {
    return (await this.#ask('hello', 1.5)) !== 'hello';
  }

  /** The address that the other end sees this connection come from. */
  async seenAs(): Promise<string> {
    return await this.#ask('who', PATIENCE_S);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }

  #ask(line: string, seconds: number): Promise<string> {
    this.#child.stdin?.write(`${seconds} ${line}\n`);
    return this.#next();
  }

  /** The next line that the client prints; it knows itself when to give up. */
  async #next(): Promise<string> {
    while (!this.#answers.length) {
      if (this.#ended) return 'the client has ended';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#answers.shift()!;
  }
}

/** Whether a TCP connection can be opened. */
export async function connects(
  machine: Machine,
  address: string,
  port: number,
  seconds = PATIENCE_S,
): Promise<boolean> {
  try {
    (await Connection.open(machine, address, port, seconds)).close();
    return true;
  } catch {
    return false;
  }
}

/** Whether a TCP connection cannot be opened within a second. */
export async function connectsInVain(machine: Machine, address: string, port: number): Promise<boolean> {
  return !(await connects(machine, address, port, 1));
}

/** Sends one Ethernet frame, given as hexadecimal digits, out of eth0. */
export async function sendFrame(machine: Machine, frame: string): Promise<void> {
  await machine.exec('python3', ['-c', SEND_FRAME, frame.replace(/[\s:]/g, '')]);
}

const ECHO_SERVER = `
import socket, sys, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', int(sys.argv[1]))); s.listen(16); print('listening')
def serve(c, a):
    while True:
        d = c.recv(4096)
        if not d: return
        c.sendall((a[0] + '\\n').encode() if d == b'who\\n' else d)
while True:
    c, a = s.accept(); threading.Thread(target=serve, args=(c, a), daemon=True).start()
`;

const CLIENT = `
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
except OSError as e:
    print('refused', e); sys.exit()
print('connected')
for line in sys.stdin:
    seconds, line = line.split(' ', 1)
    s.settimeout(float(seconds))
    try:
        s.sendall(line.encode()); print(s.recv(4096).decode().strip())
    except OSError as e:
        print('silence')
`;

const SEND_FRAME = `
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(bytes.fromhex(sys.argv[1]))
`;
