import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModulePackage } from './modules.js';

const RULE = '='.repeat(100);

/** What is shipped and was written by others, with the texts of its licences. `nodeLicence`: the file of the Node that is shipped. */
export function thirdParty(
  root: string,
  modules: readonly ModulePackage[],
  node: { readonly version: string; readonly licence: string },
): string {
  const parts = [
    { title: `Node.js ${node.version} (bin/node)`, text: readFileSync(node.licence, 'utf8') },
    ...modules.map((module) => ({
      title: `${module.name} ${module.version} (${module.path}), ${declared(root, module).id}`,
      text: licenceText(root, module),
    })),
  ];
  const contents = parts.map(({ title }) => `  ${title}\n`).join('');
  const texts = parts.map(({ title, text }) => `${RULE}\n${title}\n\n${text.trim()}\n\n`).join('');
  return `Maru is shipped with these works of others, each under its own licence, which follows below.\nThe SQLite library inside better-sqlite3 is in the public domain.\n\n${contents}\n${texts}`;
}

interface Declared {
  readonly id: string;
  readonly author: string;
}

function declared(root: string, module: ModulePackage): Declared {
  const { license, author } = JSON.parse(readFileSync(join(root, module.path, 'package.json'), 'utf8')) as {
    license?: string | { type?: string };
    author?: string | { name?: string };
  };
  const id = typeof license === 'string' ? license : license?.type;
  if (!id)
    throw new Error(
      `${module.path} does not say what its licence is: look, and do not ship it unless it has one`,
    );
  const name = typeof author === 'string' ? author : author?.name;
  return { id, author: name || `the authors of ${module.name}` };
}

function licenceText(root: string, module: ModulePackage): string {
  const directory = join(root, module.path);
  const names = readdirSync(directory).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  if (names.length > 0)
    return names.map((name) => readFileSync(join(directory, name), 'utf8').trim()).join('\n\n');
  const readme = readdirSync(directory).find((name) => /^readme/i.test(name));
  const text = readme ? readFileSync(join(directory, readme), 'utf8') : '';
  const section =
    /^#+\s*licen[cs]e[^\n]*\n([\s\S]*?Permission is hereby granted[\s\S]*?)(?=^#|(?![\s\S]))/im.exec(text);
  if (section?.[1]) return section[1];
  const { id, author } = declared(root, module);
  if (id !== 'MIT') throw new Error(`${module.path} (${id}) comes without the text of its licence`);
  return MIT(author);
}

const MIT = (holder: string) => `The MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do
so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
