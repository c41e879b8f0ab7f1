import { type Document, isAlias, LineCounter, parseDocument, visit } from 'yaml';

/** A text that is not of its format. Its message has nothing of the text in it, so it may be shown and logged. */
export class TextMistake extends Error {}

/**
 * What a YAML text says, for files with secrets in them: the parser's own errors and warnings quote what they are about. Throws
 * TextMistake with line, column and the code of the error, such as BAD_SCALAR_START.
 */
export function parseSecretYaml(text: string): unknown {
  const document = secretYamlDocument(text);
  try {
    return document.toJS();
  } catch {
    throw new TextMistake('not YAML that can be followed (too many aliases)');
  }
}

/** The same as a document, for changing it. */
export function secretYamlDocument(text: string): Document.Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const [mistake] = document.errors;
  // only found by the parser when the value is read, in an error that names it
  const [offset, code] = mistake ? [mistake.pos[0], mistake.code] : [unresolved(document), 'BAD_ALIAS'];
  if (offset === null) return document;
  const { line, col } = lines.linePos(offset);
  throw new TextMistake(
    `line ${line}, column ${col}: not YAML (${code}); put quotes around values that begin with [ { * & ! % @ or \` or have ": " or " #" in them`,
  );
}

/** What a JSON text says, for files and requests with secrets in them. Throws TextMistake, which quotes nothing of it. */
export function parseSecretJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new TextMistake(`not JSON (${text.length} characters): damaged, or not written whole`);
  }
}

/** Where an alias stands that stands for nothing; null when there is none. */
function unresolved(document: Document.Parsed): number | null {
  let found: number | null = null;
  visit(document, (_key, node) => {
    if (!isAlias(node) || node.resolve(document) !== undefined) return undefined;
    found = node.range?.[0] ?? 0;
    return visit.BREAK;
  });
  return found;
}
