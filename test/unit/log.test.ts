import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandError, type Host } from '../../agents/host/host.js';
import { withCommandLog } from '../../agents/host/logged.js';
import { RequestIds } from '../../agents/request-ids.js';
import { logRequest } from '../../src/api/shared/access-log.js';
import { Follower } from '../../src/cli/log-follow.js';
import { formatEntry, moment } from '../../src/cli/log-lines.js';
import { NewestEntries } from '../../src/core/log/collect.js';
import { hasPassword, withoutPasswords } from '../../src/protocol/config/secrets.js';
import { createLogger } from '../../src/protocol/log.js';
import { contextRequests, inLogContext } from '../../src/protocol/log-context.js';
import { LogFile } from '../../src/protocol/log-file.js';
import { checkLogQuery, type LogQuery } from '../../src/protocol/log-query.js';
import { fileSource, journalSource, NO_LOG, ownUnit } from '../../src/protocol/log-source.js';

const ALL: LogQuery = { mentions: [], since: null, level: 'debug', limit: 1_000 };

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-log-'));
  path = join(directory, 'own', 'maru.log');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function line(n: number, more: object = {}): string {
  const time = new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString();
  return `${JSON.stringify({ time, level: 'info', msg: `line ${n}`, ...more })}\n`;
}

describe('a log file', () => {
  it('is put aside when it has grown, and only so many are kept', async () => {
    const log = new LogFile({ path, maxBytes: 200, kept: 2 });
    for (let n = 0; n < 20; n++) log.write(line(n));
    log.close();
    expect(readdirSync(join(directory, 'own')).sort()).toEqual(['maru.log', 'maru.log.1', 'maru.log.2']);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(statSync(`${path}.1`).size).toBeLessThan(300);
    const { lines, truncated, source } = await fileSource(path, 2).find(ALL);
    expect(source).toBe(path);
    expect(truncated).toBe(false);
    const numbers = lines.map(({ msg }) => Number(msg.split(' ')[1]));
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => 20 - numbers.length + i));
    expect(numbers.length).toBeGreaterThanOrEqual(6);
  });

  it('goes on where a process before left it', () => {
    new LogFile({ path, maxBytes: 1000, kept: 1 }).write(line(1));
    new LogFile({ path, maxBytes: 1000, kept: 1 }).write(line(2));
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3);
  });
});

describe('looking through log files', () => {
  beforeEach(() => {
    path = join(directory, 'maru.log');
  });

  it('finds lines by what they mention, their time and their weight; the newest when there are too many', async () => {
    const texts = [
      line(1, { a: 'x' }),
      line(2, { a: 'y' }),
      line(3, { a: 'x', level: 'warn' }),
      line(4, { a: 'x' }),
    ];
    writeFileSync(path, texts.join(''));
    const found = async (query: Partial<LogQuery>) => {
      const reply = await fileSource(path, 1).find({ ...ALL, ...query });
      return [reply.lines.map(({ msg }) => msg).join(), reply.truncated];
    };
    expect(await found({ mentions: ['"x"'] })).toEqual(['line 1,line 3,line 4', false]);
    expect(await found({ mentions: ['"x"'], limit: 2 })).toEqual(['line 3,line 4', true]);
    expect(await found({ level: 'warn' })).toEqual(['line 3', false]);
    expect(await found({ since: '2026-01-01T00:00:03Z' })).toEqual(['line 3,line 4', false]);
    expect(await found({ mentions: ['"x"', 'line 4'] })).toEqual(['line 4', false]);
    expect((await fileSource(join(directory, 'none'), 1).find(ALL)).lines).toEqual([]);
  });

  it('joins lines that lie across the pieces in which the file is read', async () => {
    // 3 MB in pieces of 1 MiB; characters of several bytes lie on every border sooner or later
    const numbers = Array.from({ length: 6_000 }, (_, n) => n);
    for (const n of numbers) appendFileSync(path, line(n, { pad: '마루'.repeat(n % 97) }));
    const { lines } = await fileSource(path, 0).find({ ...ALL, limit: 5_000, mentions: ['"level":"info"'] });
    expect(lines.map(({ msg }) => msg)).toEqual(numbers.slice(-5_000).map((n) => `line ${n}`));
    expect(lines.every(({ pad }) => /^(마루)*$/.test(String(pad)))).toBe(true);
  });

  it('takes what is no JSON for the words of a failure, and ends replies that grow too large', async () => {
    writeFileSync(path, `${line(1)}TypeError: of nothing\n${line(2, { big: 'b'.repeat(100_000) })}`);
    const { lines } = await fileSource(path, 0).find(ALL);
    expect(lines[1]).toEqual({ time: '', level: 'error', msg: 'TypeError: of nothing' });
    expect(String(lines[2]!.big).length).toBeLessThan(1_100);
    for (let n = 0; n < 60; n++) appendFileSync(path, line(n, { big: 'b'.repeat(100_000) }));
    const reply = await fileSource(path, 0).find(ALL);
    expect(reply.truncated).toBe(true);
    expect(reply.lines.length).toBeGreaterThan(20);
    expect(reply.lines.length).toBeLessThan(60);
  });
});

describe('the journal', () => {
  const entry = (n: number, message: string) =>
    `${JSON.stringify({ __REALTIME_TIMESTAMP: String((Date.UTC(2026, 0, 1) / 1000 + n) * 1_000_000), MESSAGE: message })}\n`;

  const said = (stdout: string, stderr = '', exitCode = 0) => ({ stdout, stderr, exitCode });

  it('gives the newest lines, oldest first, and says when it was not asked for enough of them', async () => {
    const journal = Array.from({ length: 50 }, (_, i) => entry(50 - i, line(50 - i).trim()));
    const run = async (_: string, args: readonly string[]) =>
      said(journal.slice(0, Number(args[args.indexOf('--lines') + 1])).join(''));
    const numbers = async (query: Partial<LogQuery>) => {
      const { lines, truncated } = await journalSource('u', run).find({ ...ALL, ...query });
      return [lines.map(({ msg }) => msg.split(' ')[1]).join(), truncated];
    };
    expect(await numbers({ limit: 3 })).toEqual(['48,49,50', true]);
    expect(await numbers({ limit: 3, mentions: ['line'] })).toEqual(['48,49,50', true]);
    expect((await numbers({}))[1]).toBe(false);
    // none among those looked at: there may be some before
    expect(await numbers({ limit: 3, level: 'error' })).toEqual(['', true]);
  });

  it('that may not be read is a failure, with journalctl’s words; one without such a line is not', async () => {
    const refused = 'No journal files were opened due to insufficient permissions.\n';
    const find = (stderr: string) => journalSource('u', async () => said('', stderr, 1)).find(ALL);
    await expect(find(refused)).rejects.toThrow(
      /journal of u cannot be read: journalctl ended with exit code 1: No journal .* permissions\.; .*systemd-journal/,
    );
    expect((await find('')).lines).toEqual([]);
  });

  it('is asked for the unit’s lines, and read as they were written', async () => {
    const asked: (readonly string[])[] = [];
    const run = async (command: string, args: readonly string[]) => {
      asked.push([command, ...args]);
      return said(
        entry(3, line(3, { level: 'debug' }).trim()) +
          entry(2, 'Error: no JSON, (req.1)') +
          entry(1, line(1).trim()),
      );
    };
    const query = { ...ALL, mentions: ['(req.1)'], since: '2026-01-01T00:00:00Z' };
    const { lines, source } = await journalSource('maru-agent.service', run).find(query);
    expect(source).toBe('journal of maru-agent.service');
    expect(lines).toEqual([
      { time: '2026-01-01T00:00:02.000Z', level: 'error', msg: 'Error: no JSON, (req.1)' },
    ]);
    expect(asked[0]!.join(' ')).toMatch(
      /^journalctl --unit maru-agent.service --output json .*--reverse .*--since @1767225600 --grep \\\(req\\\.1\\\) --case-sensitive=true$/,
    );
    expect((await journalSource('u', run).find({ ...ALL, level: 'info' })).lines).toHaveLength(2);
  });

  it('has what systemd says of the unit, with its own weight', async () => {
    const told = (message: string, more: object) =>
      `${JSON.stringify({ ...JSON.parse(entry(1, message)), ...more })}\n`;
    const run = async () =>
      said(
        told('at main.js:1', { PRIORITY: '6', SYSLOG_IDENTIFIER: 'node', _TRANSPORT: 'stdout', _PID: '9' }) +
          told('no such user', { PRIORITY: '3', SYSLOG_IDENTIFIER: '(node)', _TRANSPORT: 'journal' }) +
          told('Failed with result exit-code.', { PRIORITY: '4', SYSLOG_IDENTIFIER: 'systemd' }) +
          // as a first process that is called init
          told('Started maru-agent.service.', { PRIORITY: '6', SYSLOG_IDENTIFIER: 'init', _PID: '1' }),
      );
    const { lines } = await journalSource('u', run).find({ ...ALL, level: 'info' });
    expect(lines.map(({ level, msg, by }) => [level, msg, by])).toEqual([
      ['info', 'Started maru-agent.service.', 'systemd'],
      ['warn', 'Failed with result exit-code.', 'systemd'],
      ['error', 'no such user', '(node)'],
      ['error', 'at main.js:1', undefined],
    ]);
  });

  it('is that of the unit that the process is in', () => {
    expect(ownUnit('0::/system.slice/maru-controller.service\n')).toBe('maru-controller.service');
    expect(ownUnit('0::/user.slice/user-0.slice/session-1.scope\n')).toBeNull();
  });

  it('of a program without any is empty and has no source', async () => {
    expect(await NO_LOG.find(ALL)).toEqual({ lines: [], truncated: false, source: null });
  });
});

describe('a logger', () => {
  function lines(level: 'debug' | 'info' | (() => 'debug' | 'error') = 'debug') {
    const written: Record<string, unknown>[] = [];
    const log = createLogger(level, { host: 'h' }, (text) => written.push(JSON.parse(text)));
    return { written, log };
  }

  it('masks what is secret by its name or its form', () => {
    const { written, log } = lines();
    log.info('x', {
      password: 'p',
      nested: { admin_password: 'p', admin_password_file: '/etc/x', token: 't' },
      url: 'postgres://maru:sesame@db/maru?password=x and https://plain.example/a:b@c',
      key: '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n rest',
      words: `joined with maru1.${'a'.repeat(30)} today`,
      request_id: 'req-1',
    });
    expect(written[0]).toMatchObject({
      password: '***',
      nested: { admin_password: '***', token: '***' },
      url: 'postgres://maru:***@db/maru?password=x and https://plain.example/a:b@c',
      key: '***\n rest',
      words: 'joined with *** today',
      request_id: 'req-1',
    });
  });

  it('masks passwords with quotes in them, and nothing of the fields after', () => {
    const { written, log } = lines();
    const db = `postgres://maru:it's"@db/maru`;
    const sent = { db, api: 'http://api:80', to: "mail 'a@b'", error: new Error(`refused: ${db}`) };
    log.info('x', sent);
    expect(written[0]).toMatchObject({
      db: 'postgres://maru:***@db/maru',
      api: sent.api,
      to: sent.to,
      error: 'refused: postgres://maru:***@db/maru',
    });
    expect(JSON.stringify(written)).not.toContain("it's");
    expect(hasPassword(db)).toBe(true);
    expect(withoutPasswords("'postgres://db/maru?sslpassword=it's&a=1'")).toBe(
      "'postgres://db/maru?sslpassword=***&a=1'",
    );
    expect(withoutPasswords("'postgres://db/maru?password=it's'")).toBe("'postgres://db/maru?password=***'");
    expect(hasPassword('postgres://maru@db/maru')).toBe(false);
  });

  it.each(['a-', 'a://', 'a:', 'a://b:'])(
    'takes no longer for many of %s than for as much of anything',
    (piece) => {
      const { written, log } = lines();
      const path = `${piece.repeat(400_000 / piece.length)} ://`;
      log.info('request', { path });
      withoutPasswords(path);
      expect(written).toHaveLength(1);
    },
    // a pass over it takes some 10 ms; trying every letter anew, minutes
    20_000,
  );

  it('has of a request’s path no more than any real one has', () => {
    const { written, log } = lines();
    const request = {
      method: 'GET',
      url: `/${'a/'.repeat(7_500)}?q`,
      headers: {},
      params: {},
      routeOptions: { config: {} },
    };
    const reply = { statusCode: 404 };
    logRequest(log, 'compute', request as unknown as FastifyRequest, reply as FastifyReply);
    expect(written[0]).toMatchObject({ path: `/${'a/'.repeat(500).slice(0, 999)}…`, status: 404 });
  });

  it('asks for its level at each line', () => {
    let level: 'debug' | 'error' = 'error';
    const { written, log } = lines(() => level);
    log.info('unheard');
    level = 'debug';
    log.with({ more: 1 }).debug('heard');
    expect(written.map(({ msg }) => msg)).toEqual(['heard']);
  });

  it('adds the requests that something is done for, and no longer when that has ended', async () => {
    const { written, log } = lines();
    let later: NodeJS.Timeout | undefined;
    const afterwards = new Promise<void>((resolve) => {
      void inLogContext({ request_ids: ['req-1'], objects: ['server/1'] }, async () => {
        await new Promise((go) => setTimeout(go, 1));
        log.info('within');
        expect(contextRequests()).toEqual(['req-1']);
        later = setTimeout(() => {
          log.info('after');
          expect(contextRequests()).toEqual([]);
          resolve();
        }, 20);
      });
    });
    await Promise.all([
      afterwards,
      inLogContext({ request_ids: ['req-2'] }, async () => log.info('beside')),
      inLogContext({ request_ids: [] }, async () => log.info('for nobody')),
    ]);
    clearTimeout(later);
    const requests = Object.fromEntries(written.map(({ msg, request_ids }) => [msg, request_ids]));
    expect(requests).toEqual({
      within: ['req-1'],
      beside: ['req-2'],
      'for nobody': undefined,
      after: undefined,
    });
  });
});

describe('the log of commands', () => {
  const written: Record<string, unknown>[] = [];
  const log = createLogger('debug', {}, (text) => written.push(JSON.parse(text)));
  const host = withCommandLog(
    {
      simulated: true,
      read: async () => ({ stdout: 'out', stderr: '', exitCode: 0 }),
      run: async (command: string) => {
        if (command === 'false') throw new CommandError('false', 1, 'no', 'exit code 1');
        return { stdout: '', stderr: '', exitCode: 0 };
      },
      writeFile: async () => {},
    } as unknown as Host,
    log,
  );

  beforeEach(() => {
    written.length = 0;
  });

  it('has what changes something for a request at info, with its input and its end, and the rest at debug', async () => {
    await host.run('ip', ['-batch', '-'], { input: 'link add\n', netns: 'qrouter-1' });
    await inLogContext({ request_ids: ['req-1'] }, async () => {
      expect((await host.read('ip', ['-j', 'link'])).stdout).toBe('out');
      await host.run('ip', ['-batch', '-'], { input: 'link add\n', netns: 'qrouter-1' });
      await expect(host.run('false', [])).rejects.toThrow('exit code 1');
      await host.run('secret-tool', [], { input: 'sesame' });
      await host.writeFile('/x', 'sesame', 0o600);
    });
    expect(written.map(({ level, msg, command, request_ids }) => [level, msg, command, request_ids])).toEqual(
      [
        ['debug', 'command', 'ip -batch -', undefined],
        ['debug', 'command', 'ip -j link', ['req-1']],
        ['info', 'command', 'ip -batch -', ['req-1']],
        ['info', 'command', 'false', ['req-1']],
        ['info', 'command', 'secret-tool', ['req-1']],
        ['info', 'file written', undefined, ['req-1']],
      ],
    );
    expect(written[2]).toMatchObject({
      input: 'link add\n',
      netns: 'qrouter-1',
      exit_code: 0,
      changes: true,
    });
    expect(written[3]).toMatchObject({ exit_code: 1, failed: 'false: exit code 1: no' });
    expect(JSON.stringify(written)).not.toContain('sesame');
    expect(host.simulated).toBe(true);
  });
});

describe('requests that changed an object', () => {
  it('are taken once, and given back when it failed, together with what came meanwhile', () => {
    const ids = new RequestIds();
    ids.add('server/1', ['req-1']);
    ids.add('server/2', ['req-1', 'req-2']);
    expect(ids.of(['server/1'])).toEqual(['req-1']);
    const taken = ids.take(['server/1', 'server/2']);
    expect(taken.ids).toEqual(['req-1', 'req-2']);
    expect(ids.keys).toEqual([]);
    ids.add('server/2', ['req-3']);
    taken.giveBack('server/2');
    taken.giveBack('server/3');
    expect(ids.take(['server/1', 'server/2', 'server/3']).ids).toEqual(['req-3', 'req-1', 'req-2']);
  });
});

describe('lines of many hosts', () => {
  it('are merged by time as they come, and no more are kept than are wanted', () => {
    const newest = new NewestEntries(3);
    const reply = (...numbers: number[]) => ({
      lines: numbers.map((n) => JSON.parse(line(n))),
      truncated: false,
      source: 'x',
    });
    const kept = () => newest.entries.map(({ host, line: { msg } }) => `${host} ${msg.split(' ')[1]}`).join();
    newest.add('agent', 'h1', reply(5, 6));
    expect([kept(), newest.truncated]).toEqual(['h1 5,h1 6', false]);
    newest.add('agent', 'h2', reply(1, 6, 7));
    expect([kept(), newest.truncated]).toEqual(['h1 6,h2 6,h2 7', true]);
    newest.add('controller', 'c', reply(2, 3));
    expect(kept()).toBe('h1 6,h2 6,h2 7');
  });
});

describe('maru logs', () => {
  it('follows all hosts, also when the clock of one is ahead, and shows each line once', () => {
    const at = Date.UTC(2026, 0, 1, 12);
    const start = new Date(at - 5_000).toISOString();
    const follower = new Follower(start);
    const entry = (msg: string, ms: number | null) => ({
      program: 'agent' as const,
      host: 'h',
      line: { time: ms === null ? '' : new Date(at + ms).toISOString(), level: 'info', msg },
    });
    const look = (now: number, ...entries: ReturnType<typeof entry>[]) =>
      follower.take({ entries, missing: [], truncated: false }, at + now).map(({ line: { msg } }) => msg);
    const [crash, early, ahead] = [entry('crash', null), entry('early', 0), entry('ahead', 3_600_000)];
    expect(look(0, crash, early, ahead)).toEqual(['crash', 'early', 'ahead']);
    expect(follower.since).toBe(start);
    expect(look(20_000, crash, early, entry('later', 19_000), ahead)).toEqual(['later']);
    expect(follower.since).toBe(new Date(at + 5_000).toISOString());
    expect(look(60_000, crash, entry('last', 60_000))).toEqual(['last']);
    expect(follower.since).toBe(new Date(at + 45_000).toISOString());
    expect(look(61_000, crash, entry('last', 60_000), entry('odd', 61_000), ahead)).toEqual(['odd']);
    expect(look(61_000)).toEqual([]);
  });

  it('knows times that lie back, and others', () => {
    const now = Date.UTC(2026, 0, 2);
    expect(moment('90s', now).toISOString()).toBe('2026-01-01T23:58:30.000Z');
    expect(moment('1h ago', now).toISOString()).toBe('2026-01-01T23:00:00.000Z');
    expect(moment('2d', now).toISOString()).toBe('2025-12-31T00:00:00.000Z');
    expect(moment('2026-01-01T10:00:00Z').toISOString()).toBe('2026-01-01T10:00:00.000Z');
    expect(() => moment('yesterday')).toThrow('is no time');
  });

  it('prints a line for people, with colours only where wanted', () => {
    const entry = {
      program: 'agent' as const,
      host: 'host1',
      line: {
        time: 'T',
        level: 'warn',
        msg: 'command',
        host: 'host1',
        command: 'ip -j link',
        n: 1,
        ids: ['a', 'b'],
        input: 'one\ntwo\n',
      },
    };
    expect(formatEntry(entry, false)).toBe(
      'T  host1 agent  WARN command  command="ip -j link"  n=1  ids=a,b\n    input: one\n      two',
    );
    expect(formatEntry(entry, true)).toContain('\u001b[33m');
  });

  it.each([
    [{ ...ALL, mentions: 'x' }, /mentions/],
    [{ ...ALL, since: 'then' }, /since/],
    [{ ...ALL, level: 'loud' }, /level/],
    [{ ...ALL, limit: 5_001 }, /limit/],
    [null, /object/],
  ])('a query like %j is refused', (query, why) => {
    expect(checkLogQuery(query)).toMatch(why);
    expect(checkLogQuery(ALL)).toBeNull();
  });
});
