import { AGENT_SECTION } from '../../../agents/config.js';
import { CONTROLLER_SECTION } from '../../config.js';
import { ConfigDocument, type SectionName } from '../../protocol/config/document.js';
import type { Section } from '../../protocol/config/key.js';
import { readSection, type SectionReading } from '../../protocol/config/read.js';

/** Every section of the file. Where both programs and their tables meet is only the command line. */
export const ALL_SECTIONS = [CONTROLLER_SECTION, AGENT_SECTION] as unknown as readonly Section[];

export interface WholeReading {
  readonly document: ConfigDocument;
  readonly controller: SectionReading<typeof CONTROLLER_SECTION.keys>;
  readonly agent: SectionReading<typeof AGENT_SECTION.keys>;
}

/** Reads all sections of a file; what is wrong is in the document's problems. */
export function readWhole(file: string): WholeReading {
  const document = ConfigDocument.read(file);
  return {
    document,
    controller: readSection(document, CONTROLLER_SECTION, ALL_SECTIONS),
    agent: readSection(document, AGENT_SECTION, ALL_SECTIONS),
  };
}

/** Sections that a file has something in: programs for which it is meant. */
export function usedSections({ document }: WholeReading): SectionName[] {
  return ALL_SECTIONS.map(({ name }) => name).filter((name) => document.has(name));
}
