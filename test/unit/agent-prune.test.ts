import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { FakeMachine } from '../../agents/host/fake/machine.js';
import { FakeHost } from '../../agents/host/fake.js';
import type { CommandOptions } from '../../agents/host/host.js';
import { createStoragePart } from '../../agents/storage/part.js';
import { imageFile } from '../../agents/storage/paths.js';
import { objectKey } from '../../src/protocol/keys.js';
import { createLogger } from '../../src/protocol/log.js';
import { serverObject, specOf } from '../support/guests.js';
import { IMAGE } from '../support/hosts/example-spec.js';

const STATE = '/var/lib/maru-agent';
const DAY_MS = 86_400_000;

/** A host that lets something happen while a disk is inspected, and whose clock can be put forward. */
class MeanwhileHost extends FakeHost {
  ahead = 0;
  meanwhile: (() => Promise<unknown>) | null = null;

  override async read(command: string, args: readonly string[], options?: CommandOptions) {
    const { meanwhile } = this;
    this.meanwhile = null;
    if (meanwhile) await meanwhile();
    return super.read(command, args, options);
  }

  override now(): Date {
    return new Date(Date.now() + this.ahead);
  }
}

function serverOn(imageId: string) {
  const image = {
    id: imageId,
    disk_format: 'raw' as const,
    size: IMAGE.length,
    sha512: createHash('sha512').update(IMAGE).digest('hex'),
  };
  const server = serverObject();
  return { ...server, disks: server.disks.map((disk) => ({ ...disk, image })) };
}

it('a base image is kept for a guest that comes while it is looked for what is in use', async () => {
  const host = new MeanwhileHost(new FakeMachine({ hostname: 'host1' }));
  const part = createStoragePart({
    host,
    stateDir: STATE,
    fetchImage: async () => Readable.from([IMAGE]),
    diskUser: async () => null,
    pruneAfterDays: 1,
    log: createLogger('error', {}, () => {}),
  });
  const [wanted, unwanted] = ['66660002-0000-4000-8000-000000000001', '66660003-0000-4000-8000-000000000001'];
  const [stays, came, went] = [
    serverOn('66660001-0000-4000-8000-000000000001'),
    serverOn(wanted),
    serverOn(unwanted),
  ];
  await part.apply({ spec: specOf(stays), changed: null });
  // both images were used once, and are not any more
  for (const server of [serverOn(wanted), went]) {
    await part.apply({ spec: specOf(server), changed: null });
    await part.removeServer(server.id);
  }
  host.ahead = 3 * DAY_MS;
  const both = specOf(stays, came);
  host.meanwhile = () => part.apply({ spec: both, changed: new Set([objectKey('server', came.id)]) });
  await part.housekeeping?.(specOf(stays));
  expect(host.meanwhile).toBeNull();
  expect(await host.stat(imageFile(STATE, wanted))).not.toBeNull();
  expect(await host.stat(imageFile(STATE, unwanted))).toBeNull();
  expect(await part.disksReady(came, both)).toBeNull();
});
