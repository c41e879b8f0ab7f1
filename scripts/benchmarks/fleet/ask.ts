import type { ChildProcess } from 'node:child_process';
import type { Answer } from './worker-messages.js';

/** Questions to a child process over Node's IPC, each with its answer. */
export class Asker<T> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #next = 1;

  constructor(child: ChildProcess, name: string) {
    this.#child = child;
    child.on('message', (answer: Answer) => {
      const waiter = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiter?.reject(new Error(`${name}: ${answer.error}`));
      else waiter?.resolve(answer.value as never);
    });
    child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`${name} ended (${signal ?? `exit code ${code}`})`));
      this.#waiting.clear();
    });
  }

  ask<R>(order: T): Promise<R> {
    const id = this.#next++;
    return new Promise<R>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, order }, (error) => {
        if (error && this.#waiting.delete(id)) reject(error);
      });
    });
  }
}

/** The other end: answers each question with what `answer` gives. Ends this process when the asker is gone. */
export function answerQuestions<T>(answer: (order: T) => unknown): void {
  process.on('message', ({ id, order }: { id: number; order: T }) => {
    Promise.resolve()
      .then(() => answer(order))
      .then(
        (value) => process.send?.({ id, value }),
        (error: Error) => process.send?.({ id, error: error.stack ?? error.message }),
      );
  });
  process.on('disconnect', () => process.exit(1));
}
