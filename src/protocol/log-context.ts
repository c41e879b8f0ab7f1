import { AsyncLocalStorage } from 'node:async_hooks';

/** What lines have in common that are logged while something is done for somebody. */
export interface LogContext {
  /** Requests that it is done for. */
  readonly request_ids: readonly string[];
  /** Objects that it is about. */
  readonly objects?: readonly string[];
}

interface Entered {
  readonly context: LogContext;
  /** What was started meanwhile and goes on afterwards, such as a listener, is not about this any more. */
  open: boolean;
}

const entered = new AsyncLocalStorage<Entered>();

/** Runs something; every line that is logged by it, however deep, until it ends, has the context's fields. */
export async function inLogContext<T>(context: LogContext, body: () => Promise<T>): Promise<T> {
  const here = { context, open: true };
  try {
    return await entered.run(here, body);
  } finally {
    here.open = false;
  }
}

/** The requests for which something is being done here; none: nobody asked for it. */
export function contextRequests(): readonly string[] {
  const here = entered.getStore();
  return here?.open ? here.context.request_ids : [];
}

/** The fields of the present context, for a line of the log. */
export function contextFields(): LogContext | undefined {
  const here = entered.getStore();
  return here?.open && here.context.request_ids.length > 0 ? here.context : undefined;
}
