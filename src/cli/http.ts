import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { NoReplyInTime } from './error.js';

/** Longer than a controller takes that asks all hosts, of which some hang. */
const TIMEOUT_MS = 90_000;

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/**
 * One request; `ca` is a PEM text of who is trusted instead of the system's authorities. Rejects when there is no reply, with
 * NoReplyInTime when it has not ended after `timeoutMs` milliseconds.
 */
export function send(
  url: string,
  {
    method,
    headers,
    body,
    ca,
    timeoutMs = TIMEOUT_MS,
  }: { method: string; headers: Record<string, string>; body?: string; ca?: string; timeoutMs?: number },
): Promise<HttpReply> {
  const start = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const request = start(
      url,
      { method, headers: { ...headers, ...length }, ...(ca ? { ca } : {}) },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
        response.on('error', fail);
      },
    );
    // of the whole: a reply that begins may hang too
    const timer = setTimeout(() => request.destroy(new NoReplyInTime(timeoutMs / 1000)), timeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    request.on('error', fail);
    request.end(body);
  });
}
