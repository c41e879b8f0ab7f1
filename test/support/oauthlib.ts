import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/** The system's Python, which has the libraries of OpenStack's clients. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = `
import json, sys
from oauthlib import oauth1
for line in sys.stdin:
    q = json.loads(line)
    client = oauth1.Client(q['consumer'], client_secret=q['consumer_secret'],
        resource_owner_key=q.get('token'), resource_owner_secret=q.get('token_secret'),
        signature_method=oauth1.SIGNATURE_HMAC_SHA1, verifier=q.get('verifier'), callback_uri=q.get('callback'),
        timestamp=q.get('timestamp'), nonce=q.get('nonce'))
    _, headers, _ = client.sign(q['url'], http_method='POST')
    print(json.dumps(headers['Authorization']), flush=True)
`;

/** What a request is signed with. */
export interface OauthSigner {
  readonly url: string;
  readonly consumer: string;
  readonly consumer_secret: string;
  readonly token?: string;
  readonly token_secret?: string;
  readonly verifier?: string;
  readonly callback?: string;
  readonly timestamp?: string;
  readonly nonce?: string;
}

/** Signs POST requests with oauthlib, as OpenStack's clients do. Close it after the tests. */
export class Oauthlib {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor() {
    this.#process = spawn(PYTHON, ['-c', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#reader = createInterface({ input: this.#process.stdout! });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** The Authorization header. */
  async sign(request: OauthSigner): Promise<string> {
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error(`${PYTHON} with oauthlib ended with ${this.#process.exitCode}`);
    return JSON.parse(line.value) as string;
  }

  close(): void {
    this.#reader.close();
    this.#process.stdin!.end();
    this.#process.kill();
  }
}
