/** A text without NUL characters, which SQLite keeps and PostgreSQL refuses, and with it the whole transaction. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '');
}
