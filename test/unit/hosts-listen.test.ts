import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { splitAddress } from '../../src/net/listen-address.js';

const MAIN = `
import Fastify from 'fastify';
import { listenApi } from './src/hosts/listen.js';
const api = Fastify();
api.get('/', async () => ({ pid: process.pid }));
const where = await listenApi(api, { listen: '127.0.0.1:0' });
process.send?.({ ready: where });
`;

describe('listenApi', () => {
  let directory: string;
  let child: ChildProcess | undefined;
  let socket: Server;
  let url: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'maru-listen-'));
    symlinkSync(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    for (const file of ['src/hosts/listen', 'src/net/listen-address']) {
      mkdirSync(join(directory, file, '..'), { recursive: true });
      const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      writeFileSync(join(directory, `${file}.js`), ts.transpile(readFileSync(`${file}.ts`, 'utf8'), options));
    }
    writeFileSync(join(directory, 'main.js'), MAIN);
    socket = createServer().listen(0, '127.0.0.1');
    await once(socket, 'listening');
    url = `http://127.0.0.1:${(socket.address() as AddressInfo).port}/`;
  });
  afterEach(() => {
    child?.kill('SIGKILL');
    socket.close();
    rmSync(directory, { recursive: true });
  });

  const ready = (process: ChildProcess) =>
    new Promise<string>((resolve, reject) => {
      process.on('message', (message: { ready?: string }) => message.ready && resolve(message.ready));
      process.on('exit', (code) => reject(new Error(`ended with ${code}`)));
    });

  it('serves on a socket that the parent hands over when asked', async () => {
    child = fork(join(directory, 'main.js'), { env: { ...process.env, MARU_LISTEN: 'ipc' } });
    child.on('message', (message: { type?: string }) => {
      if (message.type === 'listen') child?.send('listen', (socket as unknown as { _handle: never })._handle);
    });
    expect(await ready(child)).toBe('a socket of the parent process');
    // or this process may accept the connection, and say nothing
    socket.close();
    expect(await (await fetch(url)).json()).toEqual({ pid: child.pid });
  });

  it('serves on the socket that systemd passes', async () => {
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    // systemd names the process that the descriptors are for
    const wrapper = `process.env.LISTEN_PID = String(process.pid); await import('./main.js');`;
    writeFileSync(join(directory, 'activated.js'), wrapper);
    child = fork(join(directory, 'activated.js'), {
      env: { ...process.env, LISTEN_FDS: '1', MARU_LISTEN: '' },
      stdio: ['ignore', 'inherit', 'inherit', fd, 'ipc'],
    });
    expect(await ready(child)).toBe('a socket of systemd');
    socket.close();
    expect(await (await fetch(url)).json()).toEqual({ pid: child.pid });
  });

  it('listens on the configured address otherwise', async () => {
    child = fork(join(directory, 'main.js'), { env: { ...process.env, MARU_LISTEN: '' } });
    const address = await ready(child);
    expect(await (await fetch(address)).json()).toEqual({ pid: child.pid });
  });
});

describe('splitAddress', () => {
  it('knows IPv4, IPv6 and every address', () => {
    expect(splitAddress('127.0.0.1:5000')).toEqual({ host: '127.0.0.1', port: 5000 });
    expect(splitAddress('[::1]:80')).toEqual({ host: '::1', port: 80 });
    expect(splitAddress(':5000')).toEqual({ host: '::', port: 5000 });
    for (const wrong of ['5000', '1.2.3.4', '::1:80', 'x:99999'])
      expect(() => splitAddress(wrong)).toThrow(wrong);
  });
});
