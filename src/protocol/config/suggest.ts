/** The known word that was probably meant, or null when none is near. */
export function nearest(word: string, known: Iterable<string>): string | null {
  const given = plain(word);
  let best: string | null = null;
  let least = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const candidate of known) {
    const wanted = plain(candidate);
    // the beginning of a word is taken for the whole: warn and warning
    const begins = wanted.length >= 3 && (given.startsWith(wanted) || wanted.startsWith(given));
    const distance = begins && given.length >= 3 ? 1 : edits(given, wanted);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

/** `did you mean 'listen'?`, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const found = nearest(word, known);
  return found === null ? '' : `did you mean '${found}'?`;
}

/** Capitals, hyphens and underscores are no difference worth counting. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, '');
}

/** Characters to insert, remove, replace or swap with their neighbour until one word is the other. */
export function edits(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2]! + 1);
      }
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
