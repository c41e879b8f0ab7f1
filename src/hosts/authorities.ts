import type { X509Certificate } from 'node:crypto';
import { conflict } from '../core/errors.js';
import {
  type AuthoritiesRecord,
  type Generation,
  newestGeneration,
  readAuthorities,
  writeAuthorities,
} from './authority-files.js';
import { CERTIFICATE_OPTIONS, CertificateAuthority, type CertificateOptions } from './certificates.js';

/** What the replacement of the authority has come to. */
export type RotationPhase =
  /** There is one authority. */
  | 'none'
  /** Hosts are given certificates of the new one; the controller still shows one of the old, which all of them trust. */
  | 'rotating'
  /** It was called off: hosts that have a certificate of the new one are given one of the old again. */
  | 'aborting';

interface Loaded {
  readonly generation: number;
  readonly record: AuthoritiesRecord;
  readonly byFingerprint: ReadonlyMap<string, CertificateAuthority>;
}

/**
 * The authorities that this installation trusts: one, or two while one replaces the other. Kept in the state directory, which the
 * controllers of an installation share; every change is one new file, so a kill leaves the state before or after it.
 */
export class Authorities {
  readonly #directory: string;
  readonly #options: CertificateOptions;
  #loaded: Loaded;

  private constructor(directory: string, options: CertificateOptions, loaded: Loaded) {
    this.#directory = directory;
    this.#options = options;
    this.#loaded = loaded;
  }

  /** Reads what is kept in the directory, or makes the first authority there. */
  static async open(
    directory: string,
    options: CertificateOptions = CERTIFICATE_OPTIONS,
  ): Promise<Authorities> {
    const found = (await readAuthorities(directory)) ?? (await begin(directory, options));
    return new Authorities(directory, options, await load(found, options));
  }

  /** Issues hosts' certificates. */
  get signing(): CertificateAuthority {
    return this.#loaded.byFingerprint.get(this.#loaded.record.signing)!;
  }

  /** Issues the controller's own certificate. */
  get presenting(): CertificateAuthority {
    return this.#loaded.byFingerprint.get(this.#loaded.record.presenting)!;
  }

  get all(): readonly CertificateAuthority[] {
    return [...this.#loaded.byFingerprint.values()];
  }

  /** Fingerprints of all that are trusted, sorted. */
  get fingerprints(): readonly string[] {
    return [...this.#loaded.byFingerprint.keys()].sort();
  }

  /** Certificates of all that are trusted, PEM, one after another. */
  get bundle(): string {
    return this.all.map((authority) => authority.pem).join('');
  }

  get phase(): RotationPhase {
    if (this.all.length === 1) return 'none';
    return this.#loaded.record.signing === this.#loaded.record.presenting ? 'aborting' : 'rotating';
  }

  /** When the replacement under way was begun. */
  get since(): string | null {
    return this.#loaded.record.since;
  }

  trusts(fingerprint: string | null): boolean {
    return fingerprint !== null && this.#loaded.byFingerprint.has(fingerprint);
  }

  /** Fingerprint of the authority that issued a certificate; null when none of ours did. */
  issuerOf(certificate: X509Certificate): string | null {
    return this.all.find((authority) => authority.hasIssued(certificate))?.fingerprint ?? null;
  }

  /** Takes over what another controller changed; true when there was something. */
  async reload(): Promise<boolean> {
    if ((await newestGeneration(this.#directory)) === this.#loaded.generation) return false;
    const found = await readAuthorities(this.#directory);
    if (!found || found.number === this.#loaded.generation) return false;
    this.#loaded = await load(found, this.#options);
    return true;
  }

  /** Makes a new authority, trusted beside the present one; from now on hosts' certificates come from it. */
  async rotate(): Promise<void> {
    await this.reload();
    if (this.phase !== 'none') {
      throw conflict(
        'The authority is being replaced already; maru ca show tells how far that is, maru ca finish or abort ends it.',
      );
    }
    const next = await CertificateAuthority.make(this.#options);
    const { record } = this.#loaded;
    await this.#change({
      ...record,
      signing: next.fingerprint,
      since: new Date().toISOString(),
      authorities: { ...record.authorities, [next.fingerprint]: next.record },
    });
  }

  /** Turns a replacement back: hosts get certificates of the old authority again, and the new one goes with `finish`. */
  async abort(): Promise<void> {
    await this.reload();
    if (this.phase === 'none') throw nothingUnderWay();
    if (this.phase === 'aborting') return;
    const { record } = this.#loaded;
    await this.#change({ ...record, signing: record.presenting, since: new Date().toISOString() });
  }

  /** Trusts nobody but the authority that signs. Whoever has a certificate of another one is out: the caller has looked. */
  async finish(): Promise<void> {
    await this.reload();
    if (this.phase === 'none') throw nothingUnderWay();
    const { record } = this.#loaded;
    await this.#change({
      signing: record.signing,
      presenting: record.signing,
      since: null,
      authorities: { [record.signing]: record.authorities[record.signing]! },
    });
  }

  async #change(record: AuthoritiesRecord): Promise<void> {
    const { generation } = this.#loaded;
    if (!(await writeAuthorities(this.#directory, generation, record))) {
      throw conflict('Somebody else has just changed the authorities; look at maru ca show.');
    }
    this.#loaded = await load({ number: generation + 1, record }, this.#options);
  }
}

async function begin(directory: string, options: CertificateOptions): Promise<Generation> {
  const first = await CertificateAuthority.make(options);
  const record: AuthoritiesRecord = {
    signing: first.fingerprint,
    presenting: first.fingerprint,
    since: null,
    authorities: { [first.fingerprint]: first.record },
  };
  if (await writeAuthorities(directory, 0, record)) return { number: 1, record };
  // another controller on this directory was faster
  return (await readAuthorities(directory))!;
}

async function load({ number, record }: Generation, options: CertificateOptions): Promise<Loaded> {
  const byFingerprint = new Map<string, CertificateAuthority>();
  for (const [fingerprint, one] of Object.entries(record.authorities)) {
    byFingerprint.set(fingerprint, await CertificateAuthority.from(one, options));
  }
  for (const needed of [record.signing, record.presenting]) {
    if (!byFingerprint.has(needed)) throw new Error(`the file of the authorities lacks ${needed}`);
  }
  return { generation: number, record, byFingerprint };
}

function nothingUnderWay() {
  return conflict('The authority is not being replaced; maru ca rotate begins it.');
}
