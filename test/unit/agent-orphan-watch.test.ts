import { beforeEach, describe, expect, it } from 'vitest';
import { OrphanWatch } from '../../agents/orphan-watch.js';
import type { Orphan } from '../../agents/part.js';

describe('the list of what is left over on a host', () => {
  let host: Orphan[];
  let watch: OrphanWatch;
  let during: () => void;
  const tap = (name: string): Orphan => ({ kind: 'tap', name, detail: 'no master' });
  const listed = () => watch.list.map(({ name }) => name);

  beforeEach(() => {
    host = [];
    during = () => {};
    watch = new OrphanWatch(
      async () => {
        const found = [...host];
        during();
        return found;
      },
      (error) => expect.fail(String(error)),
    );
  });

  it('has what nothing names', async () => {
    host = [tap('tap1')];
    await watch.look();
    expect(listed()).toEqual(['tap1']);
    host = [];
    await watch.look();
    expect(listed()).toEqual([]);
  });

  it('has nothing of what leaves just now, and is made again when that has left', async () => {
    host = [tap('tap1'), tap('foreign')];
    let applied = () => {};
    watch.during(
      new Promise<void>((resolve) => {
        applied = resolve;
      }),
    );
    await watch.look();
    expect(listed()).toEqual([]);
    host = [tap('foreign')];
    applied();
    await expect.poll(listed).toEqual(['foreign']);
  });

  it('is made again at once when a change came and was applied during a look', async () => {
    host = [tap('tap1')];
    during = () => {
      during = () => {};
      watch.during(Promise.resolve());
      host = [];
    };
    await watch.look();
    await expect.poll(listed).toEqual([]);
  });

  it('keeps what an earlier look found, also while changes are being applied all the time', async () => {
    watch.during(new Promise(() => {}));
    host = [tap('tap1')];
    await watch.look();
    expect(listed()).toEqual([]);
    await watch.look();
    expect(listed()).toEqual(['tap1']);
  });

  it('survives a change that fails', async () => {
    host = [tap('tap1')];
    watch.during(Promise.reject(new Error('it failed')));
    await watch.look();
    await expect.poll(listed).toEqual(['tap1']);
  });
});
