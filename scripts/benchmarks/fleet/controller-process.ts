import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { waitFor } from '../../lab/commands.js';
import { Asker } from './ask.js';
import type { ControllerFigures, ControllerTotals, ProbeOrder } from './probe.js';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const PROBE = new URL('./probe.js', import.meta.url).href;
const START_MS = 120_000;
const STOP_MS = 60_000;

export interface ControllerPlace {
  /** Directory of its own for everything that it writes. */
  readonly directory: string;
  /** Loopback address of both its listeners. */
  readonly address: string;
  /** `sqlite` for a file in the directory, or the URL of an empty PostgreSQL database. */
  readonly database: string;
}

/** The controller under test: the program that operators run, with its own configuration, in a process of its own. */
export class ControllerProcess {
  readonly endpoint: string;
  readonly agentEndpoint: string;
  readonly #place: ControllerPlace;
  #child: ChildProcess | null = null;
  #asker: Asker<ProbeOrder> | null = null;
  #exited: Promise<void> = Promise.resolve();

  constructor(place: ControllerPlace) {
    this.#place = place;
    this.endpoint = `http://${place.address}:5000`;
    this.agentEndpoint = `https://${place.address}:5443`;
  }

  /** Starts it and waits until its API answers. */
  async start(): Promise<void> {
    const { directory, address, database } = this.#place;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const config = `${directory}/maru.yaml`;
    const controller = {
      state_dir: directory,
      database: database === 'sqlite' ? `sqlite:${directory}/maru.db` : database,
      listen: `${address}:5000`,
      public_url: this.endpoint,
      agent_listen: `${address}:5443`,
      agent_names: [address, 'localhost'],
      log_level: 'warn',
      // what is measured here is load, not patience
      build_timeout: 3600,
    };
    await writeFile(config, stringify({ controller }), { mode: 0o600 });
    const log = openSync(`${directory}/controller.log`, 'a', 0o600);
    const command = ['--max-old-space-size=8192', '--import', PROBE, MAIN, 'controller', '--config', config];
    const child = spawn(process.execPath, command, {
      stdio: ['ignore', log, log, 'ipc'],
      serialization: 'advanced',
    });
    closeSync(log);
    this.#child = child;
    this.#asker = new Asker<ProbeOrder>(child, 'the controller');
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    await waitFor('the controller to answer', START_MS, async () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${await this.lastWords()}`);
      return (await fetch(this.endpoint)).status < 500;
    });
  }

  /** Ends it as systemd would, and waits until it has gone. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await this.#exited;
    clearTimeout(patience);
    this.#child = null;
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async figures(): Promise<ControllerFigures> {
    return await this.#asker!.ask<ControllerFigures>('figures');
  }

  /** What it has done since it was started. */
  async totals(): Promise<ControllerTotals> {
    return await this.#asker!.ask<ControllerTotals>('totals');
  }

  /** Begins a profile of its processor time. */
  async profile(): Promise<void> {
    await this.#asker!.ask<void>('profile');
  }

  /** Ends the profile and writes it to the file. */
  async profiledTo(file: string): Promise<void> {
    await this.#asker!.ask<void>({ profiledTo: file });
  }

  async adminPassword(): Promise<string> {
    return (await readFile(`${this.#place.directory}/admin-password`, 'utf8')).trim();
  }

  /** Megabytes of the database with its journal; null when it is not a file of ours. */
  async databaseMb(): Promise<number | null> {
    if (this.#place.database !== 'sqlite') return null;
    const sizes = await Promise.all(
      ['', '-wal'].map(async (suffix) => (await stat(`${this.#place.directory}/maru.db${suffix}`)).size),
    );
    return sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20;
  }

  /** The end of its log, and how many lines of each kind it has. */
  async lastWords(): Promise<string> {
    return (await this.#log()).trimEnd().split('\n').slice(-5).join('\n');
  }

  /** Warnings and errors of its log by message, most frequent first. */
  async complaints(): Promise<[string, number][]> {
    const counts = new Map<string, number>();
    for (const line of (await this.#log()).split('\n')) {
      const message = /"msg":"([^"]*)"/.exec(line)?.[1] ?? line.slice(0, 120);
      if (message) counts.set(message, (counts.get(message) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]);
  }

  async #log(): Promise<string> {
    return await readFile(`${this.#place.directory}/controller.log`, 'utf8').catch(() => '');
  }
}
