import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';

/** What the agent listens to its host with (ip monitor, nft monitor, virsh) must not gather on the host with each crash. */
describe('an agent that is killed', () => {
  beforeAll(async () => {
    // brings dist up to date
    await execa('scripts/maru', ['--version']);
  }, 300_000);

  it('takes the programs with it that it talks to', async () => {
    const program = `import('./dist/agents/host/real.js').then(({ RealHost }) => {
      console.log(new RealHost().openPipe('sleep', ['600']).pid);
    })`;
    const agent = execa('node', ['-e', program], { reject: false, buffer: false });
    const pid = await new Promise<number>((resolve) => {
      agent.stdout.once('data', (data: Buffer) => resolve(Number(data.toString())));
    });
    try {
      expect(isAlive(pid)).toBe(true);
      agent.kill('SIGKILL');
      await agent;
      await expect.poll(() => isAlive(pid)).toBe(false);
    } finally {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    }
  }, 120_000);
});

/** One that has ended and that nobody has asked about yet (a zombie) is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
