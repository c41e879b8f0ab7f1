/** The last value of a query key, which clients may give several times; undefined without any. */
export function lastValue(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.at(-1) : value;
}
