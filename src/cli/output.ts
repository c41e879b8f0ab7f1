/** Prints rows as a table with the given columns; an empty list says so. */
export function printTable(columns: readonly string[], rows: readonly (readonly unknown[])[]): void {
  const text = rows.map((row) => row.map((cell) => String(cell ?? '-')));
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...text.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  process.stdout.write(`${line(columns.map((c) => c.toUpperCase()))}\n`);
  if (text.length === 0) process.stdout.write('(none)\n');
  for (const row of text) process.stdout.write(`${line(row)}\n`);
}

/** Prints name and value pairs, aligned; lists one entry a line. */
export function printFields(fields: readonly (readonly [name: string, value: unknown])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length)) + 2;
  for (const [name, value] of fields) {
    const lines = Array.isArray(value) ? (value.length ? value.map(String) : ['-']) : [String(value ?? '-')];
    lines.forEach((line, i) => {
      process.stdout.write(`${(i === 0 ? `${name}:` : '').padEnd(width)}${line}\n`);
    });
  }
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** `3 s ago`, `5 min ago`, `2 h ago`, `4 d ago`, `never`. */
export function ago(time: string | null, now = Date.now()): string {
  if (time === null) return 'never';
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}
