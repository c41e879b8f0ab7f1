import { parseKey } from '../../src/protocol/keys.js';
import type { Logger } from '../../src/protocol/log.js';
import type { DriftEvent, DriftPolicy, ObjectReport, PlanStep } from '../../src/protocol/messages.js';
import type { ObjectKey, ObjectKind } from '../../src/protocol/objects.js';
import type { DriftLook, JudgeOptions, Verdict } from './look.js';
import { inWords } from './words.js';

export interface RegisterOptions {
  readonly policy: (kind: ObjectKind) => DriftPolicy;
  readonly now: () => Date;
  readonly log: Logger;
  /** Something has changed that is to be kept on disk and told to the controller. */
  readonly changed?: () => void;
}

/** Drift that stands, by part and object: disks and domain of one server are two. */
interface Standing {
  readonly event: DriftEvent;
  /** It is being put right now. */
  healing: boolean;
}

/** Kept until the controller has heard of them; more are dropped, the oldest first. */
const HEALED_KEPT = 500;
const STANDING_KEPT = 2_000;

/** What was found changed by other hands on this host: what stands, and what was healed and not yet told. */
export class DriftRegister {
  readonly #options: RegisterOptions;
  readonly #standing = new Map<string, Standing>();
  readonly #forced = new Set<ObjectKey>();
  #healed: DriftEvent[] = [];

  constructor(options: RegisterOptions) {
    this.#options = options;
  }

  /** Begins a comparison by a part; `inScope` says which objects it covers. */
  look(part: string, inScope: (key: ObjectKey) => boolean): DriftLook & { finish(reports: Reports): void } {
    const judged = new Map<string, Standing>();
    let complete = false;
    return {
      judge: (object, steps, options) => {
        const standing = this.#judge(part, object, steps, options);
        judged.set(`${part} ${object}`, standing);
        return standing.healing ? 'heal' : 'leave';
      },
      complete: () => {
        complete = true;
      },
      finish: (reports) => {
        for (const [key, standing] of judged) if (standing.healing) this.#settle(key, standing, reports);
        if (!complete) return;
        for (const [key, { event }] of [...this.#standing]) {
          if (key !== `${part} ${event.object}` || judged.has(key) || !inScope(event.object)) continue;
          this.#options.log.info('drift is gone', { object: event.object, detail: event.detail });
          this.#standing.delete(key);
          this.#changed();
        }
      },
    };
  }

  /** What a heartbeat takes along: drift that stands, and what was healed since `acknowledge`. */
  events(): readonly DriftEvent[] {
    return [...[...this.#standing.values()].map(({ event }) => event), ...this.#healed];
  }

  /** The controller has heard of these. */
  acknowledge(events: readonly DriftEvent[]): void {
    const told = new Set(events);
    const left = this.#healed.filter((event) => !told.has(event));
    if (left.length === this.#healed.length) return;
    this.#healed = left;
    this.#changed();
  }

  /** The next look heals this object whatever the policy says. False: nothing is known of it. */
  force(object: ObjectKey): boolean {
    if (this.standing(object) === null) return false;
    this.#forced.add(object);
    return true;
  }

  /** What stands of an object, in words; null: nothing. */
  standing(object: ObjectKey): string | null {
    const found = [...this.#standing.values()].filter(({ event }) => event.object === object);
    return found.length > 0 ? found.map(({ event }) => event.detail).join('; ') : null;
  }

  /** Forgets objects that are no longer wanted. */
  keepOnly(wanted: (key: ObjectKey) => boolean): void {
    for (const [key, { event }] of [...this.#standing]) {
      // what all objects share has the id *
      if (event.object.endsWith('/*') || wanted(event.object)) continue;
      this.#standing.delete(key);
      this.#changed();
    }
  }

  /** Takes up what was kept on disk. */
  restore(kept: {
    readonly standing: readonly (readonly [string, DriftEvent])[];
    readonly healed: readonly DriftEvent[];
  }) {
    for (const [key, event] of kept.standing) this.#standing.set(key, { event, healing: false });
    this.#healed = [...kept.healed];
  }

  /** What is to be kept on disk. */
  snapshot() {
    return {
      standing: [...this.#standing].map(([key, { event }]) => [key, event] as const),
      healed: this.#healed,
    };
  }

  #judge(part: string, object: ObjectKey, steps: readonly PlanStep[], options: JudgeOptions = {}): Standing {
    const { policy, now, log } = this.#options;
    const key = `${part} ${object}`;
    const healable = options.healable ?? true;
    const verdict: Verdict =
      healable && (policy(parseKey(object).kind) === 'heal' || this.#forced.has(object)) ? 'heal' : 'leave';
    const { action, detail } = inWords(steps);
    const known = this.#standing.get(key);
    const event: DriftEvent =
      known?.event.detail === detail
        ? known.event
        : {
            object,
            action,
            detail,
            first_seen: known?.event.first_seen ?? now().toISOString(),
            state: 'reported',
            healed_at: null,
          };
    const standing = { event, healing: verdict === 'heal' };
    if (known?.event !== event) {
      log.warn('drift', { object, detail, action, policy: verdict === 'heal' ? 'heal' : 'report' });
      if (known || this.#standing.size < STANDING_KEPT) this.#standing.set(key, standing);
      this.#changed();
    } else {
      this.#standing.set(key, standing);
    }
    return standing;
  }

  /** Healed, if the object's part is content with it now. */
  #settle(key: string, standing: Standing, reports: Reports): void {
    const { event } = standing;
    standing.healing = false;
    // what all objects share is well when all of them are
    const shared = event.object.endsWith('/*');
    const failed = reports.some(
      ({ key: one, state }) => (shared || one === event.object) && state === 'error',
    );
    if (failed) return;
    this.#forced.delete(event.object);
    this.#standing.delete(key);
    this.#healed = [
      ...this.#healed.slice(-(HEALED_KEPT - 1)),
      { ...event, state: 'healed', healed_at: this.#options.now().toISOString() },
    ];
    this.#options.log.info('drift healed', { object: event.object, detail: event.detail });
    this.#changed();
  }

  #changed(): void {
    this.#options.changed?.();
  }
}

type Reports = readonly Pick<ObjectReport, 'key' | 'state'>[];
