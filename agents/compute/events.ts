import type { Logger } from '../../src/protocol/log.js';
import type { Host, Pipe } from '../host/host.js';

export interface EventsOptions {
  readonly host: Host;
  readonly uri: string;
  readonly log: Logger;
  /** A domain changed: its name and the event's text, such as `lifecycle: Stopped Failed`. */
  readonly onEvent: (domain: string, event: string) => void;
  /** Events may have been missed, because the connection was lost. */
  readonly onGap: () => void;
}

/** Listens to libvirt's events for as long as the agent runs; a lost connection is taken up again within a second or two. */
export function watchEvents(options: EventsOptions): { close(): void } {
  let closed = false;
  let pipe: Pipe | null = null;
  let retry: NodeJS.Timeout | null = null;
  let delayMs = 500;

  const open = (first: boolean) => {
    const openedAt = Date.now();
    pipe = options.host.openPipe('stdbuf', [
      '-oL',
      'virsh',
      '-q',
      '-c',
      options.uri,
      'event',
      '--all',
      '--loop',
    ]);
    pipe.onLine((line) => {
      const found = parseEvent(line);
      if (found) options.onEvent(found.domain, found.event);
    });
    pipe.onExit((code) => {
      if (closed) return;
      delayMs = Date.now() - openedAt > 10_000 ? 500 : Math.min(delayMs * 2, 10_000);
      options.log.warn('libvirt events ended, connecting again', { exit_code: code, in_ms: delayMs });
      retry = setTimeout(() => open(false), delayMs);
      retry.unref();
    });
    // a moment later, when the new connection hears events again
    if (!first) setTimeout(() => closed || options.onGap(), 1_000).unref();
  };
  open(true);
  return {
    close() {
      closed = true;
      if (retry) clearTimeout(retry);
      pipe?.close();
    },
  };
}

/** Reads `event 'lifecycle' for domain 'instance-00000001': Stopped Failed`. */
export function parseEvent(line: string): { readonly domain: string; readonly event: string } | null {
  const match = /event '([^']+)' for domain '([^']+)':? ?(.*)$/.exec(line);
  if (!match) return null;
  const [, kind = '', domain = '', detail = ''] = match;
  return { domain, event: detail ? `${kind}: ${detail}` : kind };
}
