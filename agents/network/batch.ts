import { CommandError, type Host } from '../host/host.js';
import { type BatchLine, type Failures, hintFor } from './model.js';

/**
 * Runs lines as one `ip -batch` (or `bridge -batch`). A line that fails does not stop the others: it becomes the error of
 * its object. Returns the indexes of the lines that failed, optional ones included. A device that is to go and has gone
 * meanwhile is no failure: the kernel takes the cables of a deleted namespace away in its own time.
 */
export async function runBatch(
  host: Host,
  tool: 'ip' | 'bridge',
  lines: readonly BatchLine[],
  failures: Failures,
  netns?: string,
): Promise<ReadonlySet<number>> {
  const failed = new Set<number>();
  if (!lines.length) return failed;
  const input = `${lines.map(({ line }) => line).join('\n')}\n`;
  const args = [...(netns ? ['-n', netns] : []), '-force', '-batch', '-'];
  const result = await host.run(tool, args, { input, okCodes: [0, 1] });
  if (result.exitCode === 0) return failed;
  let said = '';
  let gone = 0;
  for (const text of result.stderr.split('\n')) {
    const number = /^Command failed -:(\d+)/.exec(text)?.[1];
    if (number === undefined) {
      said += said ? `\n${text}` : text;
      continue;
    }
    const line = lines[Number(number) - 1];
    if (line?.line.startsWith('link del ') && said.startsWith('Cannot find device')) {
      gone += 1;
      said = '';
      continue;
    }
    failed.add(Number(number) - 1);
    if (line && !line.optional) {
      const command = `${tool} ${netns ? `-n ${netns} ` : ''}${line.line}`;
      const hint = hintFor(said);
      const report = netns ? failures.addPartial.bind(failures) : failures.add.bind(failures);
      report(line.object, {
        message: `${command}: ${said}`,
        command,
        exit_code: result.exitCode,
        stderr: said,
        ...(hint ? { hint } : {}),
      });
    }
    said = '';
  }
  if (!failed.size && !gone)
    throw new CommandError(`${tool} ${args.join(' ')}`, result.exitCode, result.stderr, 'failed');
  return failed;
}
