import { createInterface } from 'node:readline';
import type { Machine } from './network-lab.js';

/** Answers every line on a TCP port with the same line, until the machine stops. */
export async function startEcho(machine: Machine, port: number): Promise<void> {
  const child = machine.start('python3', ['-u', '-c', ECHO_SERVER, `${port}`]);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
}

/** A TCP connection that stays open. */
export class Connection {
  readonly #answers: string[] = [];
  readonly #child;
  #wake: (() => void) | null = null;

  private constructor(child: ReturnType<Machine['start']>) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#answers.push(line);
      this.#wake?.();
    });
  }

  /** Connects within a second, or rejects. */
  static async open(machine: Machine, address: string, port: number): Promise<Connection> {
    const connection = new Connection(machine.start('python3', ['-u', '-c', CLIENT, address, `${port}`]));
    if ((await connection.#next()) !== 'connected') throw new Error(`no connection to ${address}:${port}`);
    return connection;
  }

  /** Whether a line sent now comes back within a second and a half. */
  async echoes(): Promise<boolean> {
    this.#child.stdin?.write('hello\n');
    return (await this.#next()) === 'hello';
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }

  async #next(): Promise<string> {
    if (!this.#answers.length) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 5000).unref();
      });
    }
    return this.#answers.shift() ?? 'silence';
  }
}

/** Whether a TCP connection can be opened. */
export async function connects(machine: Machine, address: string, port: number): Promise<boolean> {
  try {
    (await Connection.open(machine, address, port)).close();
    return true;
  } catch {
    return false;
  }
}

/** Sends one Ethernet frame, given as hexadecimal digits, out of eth0. */
export async function sendFrame(machine: Machine, frame: string): Promise<void> {
  await machine.exec('python3', ['-c', SEND_FRAME, frame.replace(/[\s:]/g, '')]);
}

const ECHO_SERVER = `
import socket, sys, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', int(sys.argv[1]))); s.listen(16); print('listening')
def serve(c):
    while True:
        d = c.recv(4096)
        if not d: return
        c.sendall(d)
while True:
    c, a = s.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()
`;

const CLIENT = `
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
except OSError as e:
    print('refused', e); sys.exit()
print('connected'); s.settimeout(1.5)
for line in sys.stdin:
    try:
        s.sendall(line.encode()); print(s.recv(4096).decode().strip())
    except OSError as e:
        print('silence')
`;

const SEND_FRAME = `
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(bytes.fromhex(sys.argv[1]))
`;
