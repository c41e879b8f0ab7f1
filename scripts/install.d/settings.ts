import { type Document, parseDocument } from 'yaml';
import { AGENT_SECTION, type AgentConfig } from '../../agents/config.js';
import { CONTROLLER_SECTION, type Config } from '../../src/config.js';
import { ConfigDocument } from '../../src/protocol/config/document.js';
import { readSection } from '../../src/protocol/config/read.js';
import { secretYamlDocument } from '../../src/protocol/secret-text.js';
import { machine } from './actions.js';
import { CONFIG } from './layout.js';

/** What the programs will read. What is wrong in the file is theirs to tell: such keys have their defaults here. */
export interface Settings {
  readonly controller: Config;
  readonly agent: AgentConfig;
}

/** The configuration as it is now, completed with defaults; of a machine without one, the defaults. */
export async function readSettings(): Promise<Settings> {
  const document = ConfigDocument.parse((await machine.readFileIfExists(CONFIG)) ?? '', CONFIG);
  return {
    controller: readSection(document, CONTROLLER_SECTION).values,
    agent: readSection(document, AGENT_SECTION).values,
  };
}

/** The value of a key in the file as it is now, whether the programs could use it or not; null when there is none. */
export async function configured(section: 'controller' | 'agent', key: string): Promise<unknown> {
  const text = await machine.readFileIfExists(CONFIG);
  return text === null ? null : (plain(parseDocument(text).getIn([section, key])) ?? null);
}

/** The text of `file` for changing it. Throws without quoting the text, which may have secrets in it. */
export function documentOf(file: string, text: string): Document.Parsed {
  try {
    return secretYamlDocument(text);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`);
  }
}

/** A value of a YAML document as plain data. */
export function plain(value: unknown): unknown {
  return value !== null && typeof value === 'object' && 'toJSON' in value
    ? (value as { toJSON(): unknown }).toJSON()
    : value;
}
