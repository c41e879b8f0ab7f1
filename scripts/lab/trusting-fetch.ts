import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface TrustingRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
  readonly signal: AbortSignal;
}

/** `fetch` for a cloud whose certificate comes from an authority of its own: `ca` in PEM. The reply is read to its end. */
export function sendTrusting(ca: string, url: string, request: TrustingRequest): Promise<Response> {
  const { method, headers, body, signal } = request;
  const start = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = start(url, { method, headers: { ...headers, ...length }, ca, signal }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        const answered = new Headers();
        for (const [name, value] of Object.entries(reply.headers)) {
          for (const one of [value ?? []].flat()) answered.append(name, one);
        }
        const status = reply.statusCode ?? 0;
        // replies of these have no body, and Response insists
        const empty = status === 204 || status === 304;
        resolve(new Response(empty ? null : Buffer.concat(chunks), { status, headers: answered }));
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
