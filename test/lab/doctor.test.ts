import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DoctorFinding } from '../../src/protocol/doctor.js';
import { BAD_FINDINGS, PACKAGES } from '../support/doctor/bad-findings.js';
import { BAD_CONFIG, plantBadHost } from '../support/doctor/bad-host.js';
import { type Fault, RUNNING, STOPPED } from '../support/doctor/faults.js';
import { DoctorMachine } from '../support/doctor/machine.js';

/** Faults for real, on a machine with systemd, libvirt, a controller and an agent of its own. */
describe('maru doctor', { timeout: 600_000 }, () => {
  let on: DoctorMachine;
  beforeAll(async () => {
    on = await DoctorMachine.start();
  }, 600_000);
  afterAll(async () => await on?.stop(), 180_000);

  const plant = async (faults: readonly Fault[]) => {
    for (const args of faults.flatMap(({ outside = [] }) => outside)) await on.out(...args);
    await on.sh(faults.map((fault) => fault.plant).join('\n'));
  };

  /** Runs what doctor says, as somebody would who pastes it line by line. */
  const mend = async (found: readonly { readonly fault: Fault; readonly finding: DoctorFinding }[]) => {
    const lines = found.flatMap(({ fault: { help, instead }, finding }) => [
      ...(help ? [help] : []),
      ...(instead ? [] : finding.mend),
    ]);
    for (const { fault } of found) for (const args of fault.outsideInstead ?? []) await on.out(...args);
    await on.machine.run('bash', ['-c', lines.join('\n')]);
  };

  const found = (
    { check, says, mend: command }: Pick<Fault, 'check' | 'says' | 'mend'>,
    findings: readonly DoctorFinding[],
  ): DoctorFinding => {
    const finding = findings.find((one) => one.check === check && says.test(one.what));
    expect(finding, `${check} ${says} in ${JSON.stringify(findings, null, 1)}`).toBeDefined();
    expect(
      finding!.mend.some((line) => command.test(line)),
      `${command} in ${finding!.mend}`,
    ).toBe(true);
    expect(finding!.why).not.toBe('');
    return finding!;
  };

  it('finds nothing on a machine that is well, here and through the controller', async () => {
    const { report, exitCode } = await on.doctor();
    expect(report.findings).toEqual([]);
    expect(report.unknown).toEqual([]);
    expect(exitCode).toBe(0);
    expect(report.roles).toEqual(['controller', 'host']);
    expect(report.fine.length).toBeGreaterThan(45);
    const remote = await on.maru('doctor', 'h1', '--verbose');
    expect(remote).toMatch(/^h1 \(host\): nothing wrong, \d+ fine\n/);
    expect(remote).toContain('(bridge-stp)');
    expect(remote).not.toContain('(database)');
  });

  it('changes nothing', async () => {
    // but for what the controller and the agent write by themselves: the database, the specification
    const state = `ip addr | grep -v lft; ip route show table all; nft list ruleset | grep -v counter; sysctl -a 2>/dev/null | grep -E '^net.(bridge|ipv4.conf)';
      find /etc /var/lib/maru /var/lib/maru-agent /usr/local -xdev -type f -printf '%p %m %u %s\\n' | grep -vE 'maru.db|spec.json|log$' | sort`;
    const before = await on.sh(state);
    await on.doctor();
    expect(await on.sh(state)).toBe(before);
  });

  it(`finds ${RUNNING.length} faults of a machine on which everything runs, and what it says mends them`, async () => {
    await plant(RUNNING);
    const { report, exitCode } = await on.doctor();
    const findings = RUNNING.map((fault) => ({ fault, finding: found(fault, report.findings) }));
    expect(exitCode).toBe(1);
    const grave = report.findings.map(({ severity }) => severity);
    expect(grave).toEqual([...grave].sort().reverse());
    const remote = await on.maru('doctor', 'h1');
    expect(remote).toMatch(/^h1 \(host\): \d+ wrong, \d+ warnings, /);
    expect(remote).toContain('$ ip link set br-ex type bridge stp_state 0');
    await mend(findings);
    expect((await on.doctor()).report.findings).toEqual([]);
    for (const { after } of RUNNING) if (after) await on.sh(after);
  });

  it(`finds ${STOPPED.length} faults of a machine on which nothing runs`, async () => {
    await on.sh('systemctl stop maru-agent');
    await plant(STOPPED);
    const { report } = await on.doctor();
    const findings = STOPPED.map((fault) => ({ fault, finding: found(fault, report.findings) }));
    await mend(findings);
    await on.until('ss -Hltn | grep -q :5444');
    expect((await on.doctor()).report.findings).toEqual([]);
  });

  it(`finds ${BAD_FINDINGS.length} more, hangs with nothing that hangs, and what it says mends them`, async () => {
    await plantBadHost(on);
    const { report, seconds } = await on.doctor('--config', BAD_CONFIG);
    const findings = BAD_FINDINGS.map((fault) => ({ fault, finding: found(fault, report.findings) }));
    // what hangs does so for ten minutes
    expect(seconds).toBeLessThan(120);
    await on.sh(PACKAGES);
    let said = '';
    for (const { fault, finding } of findings) {
      const { help, instead, token } = fault;
      const input = token ? `${(await on.maru('host', 'token', '--name', 'bad')).trim()}\n` : '';
      const lines = [...(help ? [help] : []), ...(instead ? [] : finding.mend)].join('\n');
      const { exitCode, stdout, stderr } = await on.machine.run('bash', ['-c', lines], { input });
      said += `${lines}\n${stdout}${stderr}exit code ${exitCode}\n`;
    }
    const checks = BAD_FINDINGS.map(({ check }) => check);
    const { findings: after } = (await on.doctor('--config', BAD_CONFIG)).report;
    expect(
      after.filter(({ check }) => checks.includes(check)),
      said,
    ).toEqual([]);
    await on.machine.write(BAD_CONFIG, 'agent: { nmae: bad }\n', 0o600);
    const { report: broken } = await on.doctor('--config', BAD_CONFIG);
    expect(broken.findings.find(({ check }) => check === 'configuration')?.what).toMatch(/nmae/);
  });

  it('looks at a machine before it becomes one of the cloud', async () => {
    await on.sh('mv /usr/sbin/ipset /usr/sbin/ipset.away');
    const { report } = await on.doctor('--for', 'host', '--config', '/nowhere/maru.yaml');
    expect(report).toMatchObject({ phase: 'before', roles: ['host'] });
    const said = report.findings.map(({ check }) => check);
    expect(said).toContain('missing-programs');
    expect(said).not.toContain('not-listening');
    const none = await on.machine.run(process.execPath, [
      `${process.cwd()}/dist/src/main.js`,
      ...['doctor', '--config', '/nowhere/maru.yaml'],
    ]);
    expect(none.exitCode).toBe(2);
    expect(none.stderr).toContain('maru doctor --for host');
  });
});
