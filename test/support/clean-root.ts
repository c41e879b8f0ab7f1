import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from '../../agents/host/host.js';
import { machine } from './machine.js';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly okCodes?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
}

const CACHE = fileURLToPath(new URL('../../build/cache/clean-root', import.meta.url));
const BOOTSTRAP_MS = 600_000;

/**
 * The smallest system of a release (debootstrap's minbase) in a directory of its own, in which commands run with a network that
 * consists of loopback. MARU_TEST_SUITE and MARU_TEST_MIRROR choose another release than this machine's.
 */
export class CleanRoot {
  readonly root: string;
  /** Its network namespace. */
  readonly netns: string;

  private constructor(root: string) {
    this.root = root;
    this.netns = `maru-clean-${process.pid}`;
  }

  /** Unpacks one below `directory`. The first time of a release it is downloaded, which takes a minute. */
  static async open(directory: string): Promise<CleanRoot> {
    const suite = process.env.MARU_TEST_SUITE ?? (await thisRelease());
    const archive = await minbase(suite);
    const clean = new CleanRoot(mkdtempSync(join(directory, 'root-')));
    await machine.run('tar', ['-C', clean.root, '--numeric-owner', '--zstd', '-xf', archive], {
      timeoutMs: 300_000,
    });
    await machine.run('chmod', ['755', clean.root]);
    // a sync after each file, of thousands, is for disks that are kept
    writeFileSync(`${clean.root}/etc/dpkg/dpkg.cfg.d/unsafe-io`, 'force-unsafe-io\n');
    await machine.run('ip', ['netns', 'add', clean.netns]);
    await machine.run('ip', ['link', 'set', 'lo', 'up'], { netns: clean.netns });
    return clean;
  }

  /** Runs a command in it as root, with nothing in the environment but PATH and `env`; what it started ends with it. */
  async run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<CommandResult> {
    const { timeoutMs = 300_000, okCodes = [0], env = {} } = options;
    return await machine.run('unshare', this.#words(command, args, env), {
      netns: this.netns,
      timeoutMs,
      okCodes,
    });
  }

  /** Starts a program in it that runs on; its output goes to `logFile`. Gives the id of a process whose end ends it. */
  async start(command: string, args: readonly string[], logFile: string): Promise<number> {
    return await machine.spawnDetached('unshare', this.#words(command, args, {}), {
      netns: this.netns,
      logFile,
    });
  }

  /** Removes it; what still runs in it is killed. */
  async close(): Promise<void> {
    const { stdout } = await machine.read('ip', ['netns', 'pids', this.netns], { okCodes: [0, 1] });
    for (const pid of stdout.split('\n').filter(Boolean)) machine.kill(Number(pid), 'SIGKILL');
    await machine.run('ip', ['netns', 'del', this.netns], { okCodes: [0, 1] });
    rmSync(this.root, { recursive: true, force: true });
  }

  #words(command: string, args: readonly string[], env: Readonly<Record<string, string>>): string[] {
    // no program finds an init to talk to, or a file of this machine
    const namespaces = ['-m', '-p', '-u', '-i', '-f', '--kill-child', '--propagation', 'private'];
    const enter = 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"';
    const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8', ...env };
    const words = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    return [...namespaces, 'sh', '-euc', enter, this.root, 'env', '-i', ...words, command, ...args];
  }
}

async function thisRelease(): Promise<string> {
  return (await machine.read('sh', ['-c', '. /etc/os-release && printf %s "$VERSION_CODENAME"'])).stdout;
}

/** The archive of a release's minbase, made when there is none. */
async function minbase(suite: string): Promise<string> {
  const archive = join(CACHE, `${suite}.tar.zst`);
  if (await machine.stat(archive)) return archive;
  mkdirSync(dirname(archive), { recursive: true });
  const work = mkdtempSync(join(CACHE, '.work-'));
  try {
    // what debootstrap mounts goes with its mount namespace
    const mirror = process.env.MARU_TEST_MIRROR ?? (await mirrorOf(suite));
    const bootstrap = ['debootstrap', '--variant=minbase', suite, `${work}/tree`, mirror];
    await machine.run('unshare', ['-m', '--propagation', 'private', ...bootstrap], {
      timeoutMs: BOOTSTRAP_MS,
    });
    await machine.run('rm', ['-rf', `${work}/tree/var/cache/apt/archives`, `${work}/tree/var/lib/apt/lists`]);
    await machine.run('tar', ['-C', `${work}/tree`, '--numeric-owner', '--zstd', '-cf', `${work}/tar`, '.'], {
      timeoutMs: 300_000,
    });
    renameSync(`${work}/tar`, archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return archive;
}

/** Where this machine's apt gets the release from. */
async function mirrorOf(suite: string): Promise<string> {
  const format = ['--format', '$(REPO_URI) $(CODENAME) $(COMPONENT)', 'Created-By: Packages'];
  const { stdout } = await machine.read('apt-get', ['indextargets', ...format]);
  const found = stdout.split('\n').find((line) => line.endsWith(` ${suite} main`));
  if (!found) throw new Error(`apt knows no mirror with main of ${suite}; run: apt-get update`);
  return found.split(' ')[0] ?? '';
}
