import { MaruError } from '../errors.js';

/** Bytes of uploads under way by project: they take the disk although no row counts them yet. */
const underWay = new Map<string, number>();

/** Bytes that a project's uploads under way have brought so far, to this controller. */
export function uploadsUnderWay(projectId: string): number {
  return underWay.get(projectId) ?? 0;
}

/** Passes an upload on as long as it and the project's other uploads under way fit into what the quota leaves; then 413. */
export async function* countedUpload(
  projectId: string,
  source: AsyncIterable<Buffer>,
  quotaLeft: number,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  const add = (more: number) => {
    bytes += more;
    const sum = uploadsUnderWay(projectId) + more;
    if (sum > 0) underWay.set(projectId, sum);
    else underWay.delete(projectId);
    return sum;
  };
  try {
    for await (const chunk of source) {
      if (add(chunk.length) > quotaLeft) {
        throw new MaruError('too-large', 'Image storage quota exceeded, counting uploads under way.');
      }
      yield chunk;
    }
  } finally {
    add(-bytes);
  }
}
