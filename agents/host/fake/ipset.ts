import { FakeFailure, type FakeMachine } from './machine.js';

/** `ipset save [set]`, `ipset list -t` and `ipset restore -exist`. */
export function ipset(machine: FakeMachine, args: readonly string[], input: string): string {
  const [command] = args;
  if (command === 'list' && args[1] === '-t') {
    return [...machine.ipsets]
      .map(([name, { members }]) => `Name: ${name}\nNumber of entries: ${members.size}\n`)
      .join('');
  }
  if (command === 'save' || command === 'list') {
    const wanted = args[1];
    if (wanted !== undefined && !machine.ipsets.has(wanted))
      throw new FakeFailure(1, 'ipset v7.17: The set with the given name does not exist\n');
    let text = '';
    for (const [name, { header, members }] of machine.ipsets) {
      if (wanted !== undefined && name !== wanted) continue;
      text += `create ${name} ${header}\n`;
      for (const member of members) text += `add ${name} ${member}\n`;
    }
    return text;
  }
  if (command === 'restore') {
    input.split('\n').forEach((line, index) => {
      if (line.trim() !== '') change(machine, line.trim().split(/\s+/), index + 1);
    });
    return '';
  }
  change(machine, args, 1);
  return '';
}

function change(machine: FakeMachine, [command, name = '', ...rest]: readonly string[], line: number): void {
  const set = machine.ipsets.get(name);
  if (command === 'create') {
    if (!set) machine.ipsets.set(name, { header: rest.join(' '), members: new Set() });
    return;
  }
  if (!set) throw refusal(line, 'The set with the given name does not exist');
  if (command === 'add') set.members.add(rest[0] ?? '');
  else if (command === 'del') set.members.delete(rest[0] ?? '');
  else if (command === 'flush') set.members.clear();
  else if (command === 'destroy') {
    if (isUsed(machine, name)) {
      throw refusal(line, 'Set cannot be destroyed: it is in use by a kernel component');
    }
    machine.ipsets.delete(name);
  } else throw refusal(line, `unknown command ${command}`);
}

function isUsed(machine: FakeMachine, name: string): boolean {
  for (const tables of machine.netns('').tables.values()) {
    for (const rules of tables.values())
      if (rules.some((rule) => rule.includes(`--match-set ${name} `))) return true;
  }
  return false;
}

function refusal(line: number, reason: string): FakeFailure {
  return new FakeFailure(1, `ipset v7.17: Error in line ${line}: ${reason}\n`);
}
