import { XMLBuilder, XMLParser } from 'fast-xml-parser';

/** A part of an XML document: attributes begin with `@`, text is `#text`, elements that repeat are arrays. */
export type XmlNode = { readonly [name: string]: XmlValue };
export type XmlValue = string | number | XmlNode | readonly XmlNode[] | undefined;

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  format: true,
  indentBy: '  ',
  suppressEmptyNode: true,
});

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseAttributeValue: false,
  parseTagValue: false,
  // elements that may repeat are arrays also when there is one
  isArray: (_name, path) => REPEATED.has(String(path)),
});

/** Characters that no XML 1.0 document may have, however escaped; names given by users may. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NO_XML = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g;

const REPEATED = new Set(['domain.devices.disk', 'domain.devices.interface', 'domain.devices.graphics']);

/** XML text of a document; members that are undefined are left out. */
export function buildXml(document: XmlNode): string {
  return builder.build(document).replace(NO_XML, '\uFFFD');
}

/** The document in XML text, all values as strings. */
export function parseXml(text: string): XmlNode {
  return parser.parse(text) as XmlNode;
}

/** The element at a path, or undefined. */
export function child(node: XmlValue, ...path: readonly string[]): XmlValue {
  let found: XmlValue = node;
  for (const name of path) {
    if (typeof found !== 'object' || Array.isArray(found)) return undefined;
    found = (found as XmlNode)[name];
  }
  return found;
}

/** The text of an attribute or element at a path, or null. */
export function textAt(node: XmlValue, ...path: readonly string[]): string | null {
  const found = child(node, ...path);
  if (typeof found === 'string') return found;
  if (found && typeof found === 'object' && !Array.isArray(found)) {
    const inner = (found as XmlNode)['#text'];
    return typeof inner === 'string' ? inner : null;
  }
  return null;
}

/** The elements of a name, whether there are none, one or several. */
export function children(node: XmlValue, ...path: readonly string[]): readonly XmlNode[] {
  const found = child(node, ...path);
  if (Array.isArray(found)) return found as readonly XmlNode[];
  return found && typeof found === 'object' ? [found as XmlNode] : [];
}
