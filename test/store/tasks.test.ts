import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../src/protocol/log.js';
import { Store } from '../../src/store/store.js';
import type { TaskRow } from '../../src/store/tasks.js';
import { Killed, onKillPoints, reach } from '../../src/tasks/kill-points.js';
import type { Step, TaskKind } from '../../src/tasks/kind.js';
import { Tasks, type TasksOptions } from '../../src/tasks/tasks.js';
import { DIALECTS, newDatabase } from '../support/stores.js';

const silent = createLogger('error', {}, () => {});
/** Longer than any test, however slow: leases end when a test lets them. */
const LEASE_S = 600;

describe.each(DIALECTS)('tasks on %s', (dialect) => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let store: Store;
  afterEach(async () => {
    vi.useRealTimers();
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const open = async () => {
    store = await Store.open(await newDatabase(dialect, cleanups));
    cleanups.push(() => store.close());
  };
  const controller = (kind: TaskKind, options: Partial<TasksOptions> = {}): Tasks => {
    const tasks = new Tasks({
      store,
      log: silent,
      leaseSeconds: LEASE_S,
      pollSeconds: 0.05,
      retrySeconds: 0.01,
      ...options,
    });
    tasks.register(kind);
    cleanups.push(() => tasks.close());
    return tasks;
  };
  const begin = async (tasks: Tasks, payload: object = {}, supersedes?: string) => {
    const object = { kind: 'thing', id: randomUUID() };
    const request = { kind: 'thing.work', object, payload, projectId: null, requestId: 'req-1', supersedes };
    const id = await store.tx((tx) => tasks.start(tx, request));
    return { id, object };
  };
  const row = async (tasks: Tasks, id: string): Promise<TaskRow> => (await tasks.rows.find(store.read, id))!;
  const ended = async (tasks: Tasks, id: string, state: string) =>
    await expect.poll(async () => (await row(tasks, id)).state, { interval: 10 }).toBe(state);
  /** So much of a task's lease goes by, without anybody having to wait for it. */
  const letPass = async (tasks: Tasks, id: string, seconds: number) => {
    const { lease_until } = await row(tasks, id);
    const set = { lease_until: new Date(Date.parse(lease_until!) - seconds * 1000).toISOString() };
    await store.tx((tx) => tx.updateTable('task').set(set).where('id', '=', id).execute());
  };
  const overdue = (id: string) =>
    store.tx((tx) =>
      tx
        .updateTable('task')
        .set({ deadline: '2000-01-01T00:00:00.000Z', next_run_at: '2000-01-01T00:00:00.000Z' })
        .where('id', '=', id)
        .execute(),
    );
  const note = (name: string): Step => ({
    run: async (tx) => {
      await tx.insertInto('setting').values({ name, value: 'there' }).execute();
      return { to: 'next' };
    },
    undo: async (tx) => {
      await tx.deleteFrom('setting').where('name', '=', name).execute();
      return undefined;
    },
  });
  const noted = async (name: string) =>
    (await store.read.selectFrom('setting').selectAll().where('name', '=', name).execute()).length;

  it('runs steps of the database in the transaction that begins them: rolled back together', async () => {
    await open();
    const tasks = controller(kindOf({ first: note('a'), next: { run: async () => ({ end: 'done' }) } }));
    const { id } = await begin(tasks);
    expect(await row(tasks, id)).toMatchObject({
      state: 'done',
      step: 'next',
      request_id: 'req-1',
      error: null,
    });
    expect(await noted('a')).toBe(1);
    await expect(begin(tasks)).rejects.toThrow(/unique/i);
    expect(await tasks.rows.list(store.read, true, 10)).toHaveLength(1);
  });

  it('runs effects outside transactions, then what the step writes, once each', async () => {
    await open();
    const log: string[] = [];
    const tasks = controller(
      kindOf({
        first: {
          effect: async (task) => {
            log.push(`effect ${(task.payload as { n: number }).n}`);
            return 7;
          },
          run: async (_tx, task, effect) => {
            log.push(`run ${effect}`);
            return (task.payload as { n: number }).n < 2
              ? { to: 'first', payload: { n: (task.payload as { n: number }).n + 1 } }
              : { end: 'done' };
          },
        },
      }),
    );
    await tasks.run();
    const { id } = await begin(tasks, { n: 1 });
    await ended(tasks, id, 'done');
    expect(log).toEqual(['effect 1', 'run 7', 'effect 2', 'run 7']);
    expect(await row(tasks, id)).toMatchObject({ lease_owner: null, lease_until: null, next_run_at: null });
  });

  it('waits for an event, which a step that runs just then does not lose', async () => {
    await open();
    let runs = 0;
    let release = () => {};
    const running = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tasks = controller(
      kindOf({
        first: {
          effect: async () => {
            runs++;
            if (runs === 1) await running;
          },
          run: async () => (runs < 2 ? { wait: 'news' } : { end: 'done' }),
        },
      }),
    );
    await tasks.run();
    const { id, object } = await begin(tasks);
    await expect.poll(() => runs).toBe(1);
    expect(await store.tx((tx) => tasks.wake(tx, object))).toBe(true);
    release();
    await ended(tasks, id, 'done');
    expect(await store.tx((tx) => tasks.wake(tx, object))).toBe(false);
  });

  it('a step of the database that fails in the transaction of an event does not fail that transaction', async () => {
    await open();
    let broken = true;
    const tasks = controller(
      kindOf({
        first: { run: async () => ({ to: 'await' }) },
        await: {
          run: async (tx) => {
            if ((await countSettings(tx)) === 0) return { wait: 'news' };
            await tx.insertInto('setting').values({ name: 'half', value: '' }).execute();
            if (broken) throw new Error('not today');
            return { end: 'done' };
          },
        },
      }),
    );
    const countSettings = async (tx: Parameters<Step['run']>[0]) =>
      (await tx.selectFrom('setting').select('name').where('name', '=', 'event').execute()).length;
    const { id, object } = await begin(tasks);
    expect(await row(tasks, id)).toMatchObject({ step: 'await', waiting_for: 'news' });
    await store.tx(async (tx) => {
      await tx.insertInto('setting').values({ name: 'event', value: '' }).execute();
      await tasks.wake(tx, object);
    });
    expect(await noted('event')).toBe(1);
    expect(await noted('half')).toBe(0);
    expect(await row(tasks, id)).toMatchObject({
      state: 'active',
      error: 'not today',
      waiting_for: 'another attempt',
    });
    broken = false;
    await tasks.run();
    await ended(tasks, id, 'done');
  });

  it('tries again with a growing pause, then undoes in reverse once the deadline has passed', async () => {
    await open();
    const undone: string[] = [];
    const step = (name: string, to: string): Step => ({
      run: async () => ({ to }),
      undo: async (_tx, task) => {
        undone.push(`${name}: ${task.error}`);
        return undefined;
      },
    });
    let attempts = 0;
    const tasks = controller(
      kindOf({
        first: step('first', 'second'),
        second: step('second', 'plain'),
        plain: { run: async () => ({ to: 'broken' }) },
        broken: {
          effect: async () => {
            attempts++;
            throw new Error(`disk full, attempt ${attempts}`);
          },
          run: async () => ({ end: 'done' }),
          undoEffect: async () => {
            undone.push('effect of broken');
          },
        },
      }),
    );
    await tasks.run();
    const { id } = await begin(tasks);
    await expect.poll(() => attempts).toBeGreaterThan(2);
    expect(undone).toEqual([]);
    expect((await row(tasks, id)).error).toMatch(/^disk full/);
    await overdue(id);
    await ended(tasks, id, 'failed');
    const why = (await row(tasks, id)).error;
    expect(why).toBe(`disk full, attempt ${attempts}`);
    expect(undone).toEqual(['effect of broken', `second: ${why}`, `first: ${why}`]);
  });

  it('waiting past the deadline is failing; a step may set a new deadline instead', async () => {
    await open();
    let patience = 1;
    const tasks = controller(
      kindOf({
        first: {
          run: async (_tx, task) => {
            if (task.overdue && patience-- > 0) return { wait: 'a second chance', deadline: 60 };
            return { wait: 'what never comes' };
          },
        },
      }),
    );
    const { id } = await begin(tasks);
    await overdue(id);
    await tasks.drain();
    const second = await row(tasks, id);
    expect(second).toMatchObject({ state: 'active', waiting_for: 'a second chance' });
    // PostgreSQL's clock goes on between the two
    const apart = Date.parse(second.deadline!) - Date.parse(second.next_run_at!);
    expect(Math.abs(apart)).toBeLessThan(5_000);
    expect(Date.parse(second.next_run_at!) - Date.parse(second.updated_at)).toBeGreaterThan(50_000);
    await overdue(id);
    await tasks.drain();
    expect(await row(tasks, id)).toMatchObject({ state: 'failed', finished_at: expect.any(String) });
    expect((await row(tasks, id)).error).toContain('what never comes');
  });

  it('cancelling undoes, also while an effect runs, whose signal fires', async () => {
    await open();
    let began = 0;
    let undone = 0;
    const tasks = controller(
      kindOf({
        first: {
          ...note('made'),
          run: async (tx) => {
            await note('made').run(tx, task0, null);
            return { to: 'long' };
          },
        },
        long: {
          effect: async (_task, signal) => {
            began++;
            await new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason));
            });
          },
          run: async () => ({ end: 'done' }),
          undoEffect: async () => {
            undone++;
          },
        },
      }),
    );
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await tasks.run();
    const { id } = await begin(tasks);
    await expect.poll(() => began).toBe(1);
    expect(await noted('made')).toBe(1);
    await store.tx(async (tx) => tasks.cancel(tx, (await tasks.rows.find(tx, id))!));
    // who renews the lease learns of it
    vi.advanceTimersByTime((LEASE_S * 1000) / 3);
    await ended(tasks, id, 'cancelled');
    expect([began, undone, await noted('made')]).toEqual([1, 1, 0]);
    // begun anew, it does all of it again
    await store.tx(async (tx) => tasks.retry(tx, (await tasks.rows.find(tx, id))!));
    await expect.poll(() => began).toBe(2);
    expect(await row(tasks, id)).toMatchObject({ state: 'active', step: 'long', cancel_requested: 0 });
  });

  it('another process takes over after the lease has ended; the first one, waking late, changes nothing', async () => {
    await open();
    const said: string[] = [];
    let release = () => {};
    const paused = new Promise<void>((resolve) => {
      release = resolve;
    });
    const kind = (name: string): TaskKind =>
      kindOf({
        first: {
          effect: async () => {
            said.push(`${name} began`);
            if (name === 'slow') await paused;
          },
          run: async (tx) => {
            await tx
              .insertInto('setting')
              .values({ name: `by-${name}`, value: '' })
              .execute();
            return { end: 'done', payload: { by: name } };
          },
        },
      });
    // renewals of a process that stands still do not happen
    const slow = controller(kind('slow'), { owner: 'slow' });
    vi.spyOn(slow.rows, 'renew').mockResolvedValue({ cancelled: false });
    await slow.run();
    const { id } = await begin(slow);
    await expect.poll(() => said).toEqual(['slow began']);
    const { lease_owner, lease_until, created_at } = await row(slow, id);
    expect(lease_owner).toBe('slow');
    expect(Date.parse(lease_until!) - Date.parse(created_at)).toBeGreaterThanOrEqual(LEASE_S * 1000);
    vi.spyOn(slow.rows, 'claim').mockResolvedValue([]);
    const fast = controller(kind('fast'), { owner: 'fast' });
    await fast.drain();
    expect(said).toEqual(['slow began']);
    await letPass(slow, id, LEASE_S / 2);
    await fast.drain();
    expect(said).toEqual(['slow began']);
    await letPass(slow, id, LEASE_S / 2);
    await expect
      .poll(async () => {
        await fast.drain();
        return (await row(fast, id)).state;
      })
      .toBe('done');
    const done = await row(fast, id);
    release();
    await slow.close();
    expect(await row(slow, id)).toEqual(done);
    expect(JSON.parse(done.payload)).toEqual({ by: 'fast' });
    expect([await noted('by-slow'), await noted('by-fast')]).toEqual([0, 1]);
  });

  it('a lease is renewed while a long effect runs', async () => {
    await open();
    let finish = () => {};
    const long = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let runs = 0;
    const kind = kindOf({
      first: {
        effect: async () => {
          runs++;
          await long;
        },
        run: async () => ({ end: 'done' }),
      },
    });
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const first = controller(kind);
    const second = controller(kind);
    await first.run();
    const { id } = await begin(first);
    await expect.poll(() => runs).toBe(1);
    const { created_at } = await row(first, id);
    for (let third = 1; third <= 6; third++) {
      // the renewal that is due after a third of the lease makes it whole again
      await letPass(first, id, LEASE_S / 3);
      vi.advanceTimersByTime((LEASE_S * 1000) / 3);
      const left = async () =>
        (Date.parse((await row(first, id)).lease_until!) - Date.parse(created_at)) / 1000;
      await expect.poll(left).toBeGreaterThanOrEqual(LEASE_S);
      await second.drain();
      expect(runs).toBe(1);
    }
    finish();
    await ended(first, id, 'done');
    expect(runs).toBe(1);
  });

  it('two processes never run the same task at once', async () => {
    await open();
    let at = 0;
    let most = 0;
    let runs = 0;
    const kind = kindOf({
      first: {
        effect: async () => {
          runs++;
          most = Math.max(most, ++at);
          await new Promise((resolve) => setTimeout(resolve, 5));
          at--;
        },
        run: async () => ({ end: 'done' }),
      },
    });
    const [one, two] = [controller(kind), controller(kind)];
    const ids = [];
    for (let i = 0; i < 20; i++) ids.push((await begin(one)).id);
    await Promise.all([one.drain(), two.drain(), one.drain(), two.drain()]);
    for (const id of ids) expect((await row(one, id)).state).toBe('done');
    expect(runs).toBe(20);
    expect(most).toBeGreaterThan(1);
  });

  it('a killed process leaves the task to the next one, wherever it was', async () => {
    await open();
    for (const point of ['thing.work/first:before', 'thing.work/first:between', 'thing.work/first:after']) {
      let effects = 0;
      const name = `made-${point}`;
      const kind = kindOf({
        first: {
          effect: async () => {
            effects++;
          },
          run: async (tx) => {
            await tx.insertInto('setting').values({ name, value: '' }).execute();
            return { to: 'last' };
          },
        },
        last: { run: async () => ({ end: 'done' }) },
      });
      const victim = controller(kind);
      const { id } = await begin(victim);
      const take = onKillPoints((reached) => {
        if (reached === point) throw new Killed(reached);
      });
      await victim.drain();
      take();
      expect((await row(victim, id)).state).toBe('active');
      const next = controller(kind);
      await letPass(victim, id, LEASE_S);
      await expect
        .poll(async () => {
          await next.drain();
          return (await row(next, id)).state;
        })
        .toBe('done');
      expect(await noted(name)).toBe(1);
      expect(effects).toBe(point.endsWith('between') ? 2 : 1);
    }
  });

  it.each([
    ['ended the task', { end: 'done' } as const, { state: 'done', step: 'first' }],
    ['went on to another step', { to: 'last' } as const, { state: 'active', step: 'last' }],
  ])('a commit that %s and whose answer was lost is not written over', async (_what, outcome, wanted) => {
    await open();
    let effects = 0;
    const kind = kindOf({
      first: {
        effect: async () => {
          effects++;
        },
        run: async () => outcome,
      },
      last: { run: async () => ({ end: 'done' }) },
    });
    const tasks = controller(kind);
    const object = { kind: 'thing', id: randomUUID() };
    const request = { kind: 'thing.work', object, projectId: null, requestId: null };
    const begun = await store.tx((tx) => tasks.begin(tx, request));
    const commit = store.tx.bind(store);
    vi.spyOn(store, 'tx').mockImplementationOnce(async (body) => {
      await commit(body);
      throw new Error('Connection terminated unexpectedly');
    });
    await tasks.finish(begun);
    expect(await row(tasks, begun.id)).toMatchObject({ ...wanted, error: null });
    // and whoever takes it then goes on from there
    if (wanted.state === 'active') await letPass(tasks, begun.id, LEASE_S);
    await expect
      .poll(async () => {
        await tasks.drain();
        return (await row(tasks, begun.id)).state;
      })
      .toBe('done');
    expect(effects).toBe(1);
  });

  it('what supersedes a task ends it, and whoever runs it records nothing', async () => {
    await open();
    let release = () => {};
    const paused = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tasks = controller(
      kindOf({
        first: {
          effect: async (task) => {
            if ((task.payload as { slow?: boolean }).slow) await paused;
          },
          run: async () => ({ end: 'done', payload: { ran: true } }),
        },
      }),
    );
    await tasks.run();
    const { id, object } = await begin(tasks, { slow: true });
    await expect.poll(async () => (await row(tasks, id)).lease_owner).not.toBeNull();
    const request = { kind: 'thing.work', object, payload: {}, projectId: null, requestId: null };
    await expect(store.tx((tx) => tasks.start(tx, request))).rejects.toThrow(/unique/i);
    const second = await store.tx((tx) => tasks.start(tx, { ...request, supersedes: 'deleted' }));
    release();
    await ended(tasks, second, 'done');
    expect(await row(tasks, id)).toMatchObject({
      state: 'cancelled',
      error: 'deleted',
      payload: '{"slow":true}',
    });
  });

  it('the latest of an object is the one that is under way, also where a clock was set back in between', async () => {
    await open();
    const tasks = controller(kindOf({ first: { run: async () => ({ wait: 'what never comes' }) } }));
    const { id, object } = await begin(tasks);
    const request = { kind: 'thing.work', object, payload: {}, projectId: null, requestId: null };
    const second = await store.tx((tx) => tasks.start(tx, { ...request, supersedes: 'deleted' }));
    const { created_at } = await row(tasks, second);
    for (const at of [created_at, '2100-01-01T00:00:00.000Z']) {
      await store.tx((tx) => tx.updateTable('task').set({ created_at: at }).where('id', '=', id).execute());
      expect((await tasks.rows.latestOf(store.read, object.kind, object.id))?.id).toBe(second);
    }
  });

  it('undoing is tried for ever, and may wait', async () => {
    await open();
    let tries = 0;
    const tasks = controller(
      kindOf({
        first: {
          run: async () => ({ undo: 'no' }),
          undo: async () => {
            tries++;
            if (tries === 1) throw new Error('not yet');
            return tries === 2 ? { wait: 'a receipt', seconds: 0.01 } : undefined;
          },
        },
      }),
    );
    const { id } = await begin(tasks).catch(() => ({ id: '' }));
    // what `start` runs is the caller's to fail: nothing was begun
    expect(id).toBe('');
    tries = 1;
    const begun = await begin(tasks);
    await tasks.run();
    await ended(tasks, begun.id, 'failed');
    expect((await row(tasks, begun.id)).error).toBe('no');
    expect(tries).toBeGreaterThan(2);
  });

  it('forgets what ended well after a day, and failures after a week', async () => {
    await open();
    const tasks = controller(
      kindOf({
        first: {
          run: async (_tx, task) =>
            (task.payload as { ok?: boolean }).ok ? { end: 'done' } : { end: 'failed', error: 'no' },
        },
      }),
    );
    const ids = [await begin(tasks, { ok: true }), await begin(tasks), await begin(tasks)].map(
      ({ id }) => id,
    );
    const age = async (id: string, days: number) =>
      await store.tx((tx) =>
        tx
          .updateTable('task')
          .set({ finished_at: new Date(Date.now() - days * 86_400_000).toISOString() })
          .where('id', '=', id)
          .execute(),
      );
    await age(ids[0]!, 1.1);
    await age(ids[1]!, 6.9);
    await age(ids[2]!, 7.1);
    await tasks.prune();
    expect((await tasks.rows.list(store.read, true, 10)).map(({ id }) => id)).toEqual([ids[1]]);
  });

  it.runIf(dialect === 'postgres')('clocks of processes do not matter', async () => {
    await open();
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2001-01-01') });
    const kind: TaskKind = {
      ...kindOf({ first: { run: async () => ({ wait: 'an event' }) } }),
      deadline: 60,
    };
    const tasks = controller(kind);
    const { id } = await begin(tasks);
    const before = await row(tasks, id);
    expect(before.created_at > '2020').toBe(true);
    vi.setSystemTime(new Date('2101-01-01'));
    await tasks.drain();
    expect(await row(tasks, id)).toEqual(before);
  });

  it('names every point at which a process can end', () => {
    store = {} as Store;
    const tasks = new Tasks({ store, log: silent });
    tasks.register(kindOf({ first: note('x'), next: { run: async () => ({ end: 'done' }) } }));
    expect(tasks.killPoints).toEqual([
      'thing.work/first:before',
      'thing.work/first:between',
      'thing.work/first:after',
      'thing.work/first:undo:before',
      'thing.work/first:undo:between',
      'thing.work/first:undo:after',
      'thing.work/next:before',
      'thing.work/next:between',
      'thing.work/next:after',
    ]);
    expect(() => reach('thing.work/first:before')).not.toThrow();
  });
});

const task0 = {} as Parameters<Step['run']>[1];

function kindOf(steps: Record<string, Step>): TaskKind {
  return { name: 'thing.work', steps, first: 'first', deadline: 3600, uncancellable: null };
}
