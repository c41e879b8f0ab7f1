import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, machine } from '../support/machine.js';

/** scripts/quickstart as a user runs it, in a lab of its own: the demo, again, and gone without a trace. */
const LAB = `${process.env.MARU_TEST_LAB ?? 'maru-lab'}-demo`;
const MINUTES = 60_000;

let port: number;
let before: Traces;

beforeAll(async () => {
  await quickstart('--down');
  port = await freePort();
  before = await traces();
}, 2 * MINUTES);

afterAll(async () => {
  await quickstart('--down');
}, 2 * MINUTES);

describe('quickstart', () => {
  let server: string;
  let address: string;

  it(
    'brings up a guest that answers ping and ssh from outside',
    async () => {
      const result = await quickstart('--api-port', String(port), '--json');
      ({ server, floating_ip: address } = result);
      expect(result.endpoint).toBe(`http://127.0.0.1:${port}`);
      expect(address).toMatch(/^203\.0\.113\.\d+$/);
      for (const file of [result.clouds_file, result.image_file, result.ssh_key])
        expect(existsSync(file)).toBe(true);
      expect((await machine.stat(result.clouds_file))?.size).toBeGreaterThan(100);
      // the machine's own network has nothing new
      expect((await traces()).links).toEqual(before.links);
      expect((await traces()).addresses).toEqual(before.addresses);
    },
    15 * MINUTES,
  );

  it(
    'is harmless when run again',
    async () => {
      const result = await quickstart('--json');
      expect({ server: result.server, floating_ip: result.floating_ip }).toEqual({
        server,
        floating_ip: address,
      });
    },
    8 * MINUTES,
  );

  it(
    'starts controller and agent again after a crash of both, and of the supervisor',
    async () => {
      const status = await labStatus();
      machine.kill(status.supervisor, 'SIGKILL');
      const result = await quickstart('--json');
      expect(result.server).toBe(server);
      const now = await labStatus();
      expect(now.running).toBe(true);
      expect(now.supervisor).not.toBe(status.supervisor);
    },
    8 * MINUTES,
  );

  it(
    'leaves no trace after --down, which may be run twice',
    async () => {
      await quickstart('--down');
      await quickstart('--down');
      expect(await traces()).toEqual(before);
    },
    2 * MINUTES,
  );
});

interface Result {
  readonly endpoint: string;
  readonly clouds_file: string;
  readonly image_file: string;
  readonly ssh_key: string;
  readonly server: string;
  readonly floating_ip: string;
}

async function quickstart(...args: string[]): Promise<Result> {
  const { stdout } = await machine.run('scripts/quickstart', ['--name', LAB, ...args], {
    timeoutMs: 15 * MINUTES,
  });
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return (last.startsWith('{') ? JSON.parse(last) : {}) as Result;
}

async function labStatus(): Promise<{ running: boolean; supervisor: number }> {
  const { stdout } = await machine.run('scripts/maru', ['lab', 'status', '--name', LAB, '--json'], {
    okCodes: [0, 1],
  });
  return JSON.parse(stdout) as { running: boolean; supervisor: number };
}

interface Traces {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly namespaces: readonly string[];
  readonly mounts: readonly string[];
  readonly processes: readonly string[];
  readonly state: readonly string[];
}

/** What a lab of this name could leave on the machine. */
async function traces(): Promise<Traces> {
  const lines = async (command: string, ...args: string[]) =>
    (await machine.read(command, args)).stdout.split('\n').filter(Boolean);
  const processes = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map((pid) => commandLine(pid))
    .filter((line) => line.includes(LAB));
  return {
    links: (await lines('ip', '-br', 'link')).map((line) => line.split(' ')[0] ?? ''),
    addresses: (await lines('ip', '-br', 'addr')).map((line) => line.replace(/ +/g, ' ')),
    namespaces: (await lines('ip', 'netns', 'list')).filter((line) => line.startsWith(LAB)),
    mounts: (await lines('cat', '/proc/self/mounts')).filter((line) => line.includes(LAB)),
    processes,
    state: readdirSync('/var/lib').filter((name) => name === LAB),
  };
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
