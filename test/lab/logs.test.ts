import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab, until } from '../support/lab.js';
import { Scene } from '../support/scene.js';

const MINUTES = 60_000;

interface Line {
  readonly program: string;
  readonly on: string;
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

let lab: Lab;
let scene: Scene;

beforeAll(async () => {
  lab = await Lab.open();
  scene = await Scene.create(lab, 'logs');
}, 25 * MINUTES);
afterAll(async () => await scene?.remove(), 5 * MINUTES);

async function logs(...args: string[]): Promise<Line[]> {
  const text = await lab.maru(['logs', '--json', ...args]);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

describe('maru logs of a real server', () => {
  it(
    'has what the API did for its request, and the commands that its host ran',
    async () => {
      const id = await scene.server('logs');
      const [event] = await lab.openstack('demo', 'server', 'event', 'list', id);
      const request = event['Request ID'] as string;
      const lines = await until(
        'the end of the task',
        60,
        () => logs('--request', request),
        (all) => all.some(({ msg, object }) => msg === 'task ended' && object === `server/${id}`),
      );
      expect(lines.find(({ msg }) => msg === 'request')).toMatchObject({
        program: 'controller',
        method: 'POST',
        path: '/compute/v2.1/servers',
        status: 202,
      });
      // of several, since what a request asks for may reach the host in more than one
      const delivered = lines.find(
        ({ msg, objects }) =>
          msg === 'spec delivered' && (objects as readonly string[]).includes(`server/${id}`),
      );
      expect(delivered).toMatchObject({ program: 'controller', host: expect.any(String) });
      const commands = lines.filter(({ msg, program }) => msg === 'command' && program === 'agent');
      expect(new Set(commands.map(({ on }) => on))).toEqual(new Set([delivered!.host]));
      const words = commands.map(({ command, input }) => `${command} ${input ?? ''}`);
      const [port] = await lab.openstack('demo', 'port', 'list', '--server', id);
      const tap = `tap${String(port.ID).slice(0, 11)}`;
      expect(words.some((text) => /qemu-img create .*-F /.test(text))).toBe(true);
      expect(words.some((text) => /virsh .*define/.test(text))).toBe(true);
      expect(words.some((text) => text.startsWith('ip ') && text.includes(tap))).toBe(true);
      expect(words.some((text) => text.startsWith('iptables-restore') && text.includes(tap.slice(3)))).toBe(
        true,
      );
      // what another request did to another server is not among them
      expect((await logs('--server', id)).length).toBeGreaterThan(0);
    },
    10 * MINUTES,
  );
});
