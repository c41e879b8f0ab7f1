import { type Operation, OpReply } from '../shared/operation.js';

/** The operations, and a HEAD for each GET that has none: Keystone answers both alike, a HEAD without a body. */
export function withHeads(operations: readonly Operation[]): Operation[] {
  const declared = new Set(operations.filter((o) => o.method === 'HEAD').map((o) => o.path));
  return operations.flatMap((operation) =>
    operation.method !== 'GET' || declared.has(operation.path) ? [operation] : [operation, head(operation)],
  );
}

function head(operation: Operation): Operation {
  return {
    ...operation,
    method: 'HEAD',
    async handler(request) {
      const result = await operation.handler(request);
      return result instanceof OpReply
        ? new OpReply(result.status, undefined, result.headers)
        : new OpReply(operation.status);
    },
  };
}
