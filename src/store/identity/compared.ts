/** A text column that must compare so with a value; one that is null does not. */
export interface Compared {
  readonly column: string;
  readonly operator: '<' | '<=' | '>' | '>=' | '=' | '<>';
  readonly value: string;
}
