import { type Check, check, warning, wrong } from '../check.js';

const SLOW = 'guests run under emulation (TCG), many times slower than under KVM';

/** Whether guests run as fast as they could. */
export const processorChecks: readonly Check[] = [
  check({
    id: 'processor-without-virtualisation',
    title: 'The processor offers virtualisation',
    roles: ['host'],
    needs: ['processor', 'kvm'],
    find: ({ processor: { extension, virtual, model }, kvm }, { settings }) => {
      // where there is a device, whether guests run under it says more
      if (extension !== null || kvm.device || settings.host?.virt_type === 'qemu') return [];
      const say = settings.host?.virt_type === 'kvm' ? wrong : warning;
      if (virtual) {
        return [
          say(
            `This machine is a virtual one and its processor (${model}) has neither vmx nor svm: nested virtualisation is off`,
            `${SLOW}`,
            '# on the machine that runs this one (Intel; kvm_amd for AMD), with its guests off:',
            `echo 'options kvm_intel nested=1' > /etc/modprobe.d/kvm-nested.conf && modprobe -r kvm_intel && modprobe kvm_intel`,
            '# and give this machine the processor of its host: libvirt <cpu mode="host-passthrough"/>, VirtualBox --nested-hw-virt on',
          ),
        ];
      }
      return [
        say(
          `The processor (${model}) shows neither vmx nor svm`,
          `it is too old, or virtualisation is off in the firmware; ${SLOW}`,
          '# switch on Intel VT-x or AMD-V (SVM) in the firmware’s setup, then boot',
        ),
      ];
    },
  }),
  check({
    id: 'kvm-missing',
    title: '/dev/kvm is there',
    roles: ['host'],
    needs: ['kvm', 'processor'],
    find: ({ kvm, processor }, { settings }) => {
      // without the extension the check above has said it
      if (kvm.device || processor.extension === null || settings.host?.virt_type === 'qemu') return [];
      const module = processor.extension === 'vmx' ? 'kvm_intel' : 'kvm_amd';
      const say = settings.host?.virt_type === 'kvm' ? wrong : warning;
      return [
        say(
          `/dev/kvm does not exist, although the processor has ${processor.extension}`,
          `the module ${module} is not loaded, or the firmware has locked virtualisation; ${SLOW}`,
          `modprobe ${module}`,
          `dmesg | grep -i kvm`,
        ),
      ];
    },
  }),
  check({
    id: 'kvm-hangs',
    title: 'A guest runs under KVM',
    roles: ['host'],
    needs: ['kvm'],
    find: ({ kvm }, { settings }) => {
      const forced = settings.host?.virt_type === 'kvm';
      if (kvm.probe === 'ran' || kvm.probe === 'not tried') return [];
      const say = forced ? wrong : warning;
      const consequence = forced ? 'every guest hangs, since virt_type is kvm' : SLOW;
      if (kvm.probe === 'hangs') {
        return [
          say(
            `${kvm.reason}: KVM is offered and does not work`,
            `${consequence}; usual with broken nested virtualisation`,
            '# have nested virtualisation mended where this machine runs; until then, in the agent’s section of the configuration:',
            '# virt_type: qemu',
          ),
        ];
      }
      return [say(`KVM does not work: ${kvm.reason}`, consequence, 'dmesg | grep -i kvm', 'ls -l /dev/kvm')];
    },
  }),
  check({
    id: 'kvm-permission',
    title: 'QEMU may open /dev/kvm',
    roles: ['host'],
    needs: ['kvm'],
    find: ({ kvm }, { settings }) => {
      if (!kvm.device || settings.host?.virt_type === 'qemu') return [];
      const mode = Number.parseInt(kvm.mode ?? '0', 8);
      const world = (mode & 0o006) === 0o006;
      if (world || (kvm.group === 'kvm' && (mode & 0o060) === 0o060)) return [];
      return [
        wrong(
          `/dev/kvm has mode ${kvm.mode} and group ${kvm.group}`,
          'libvirt runs QEMU as a user of group kvm, who may not open it: guests do not start',
          'chgrp kvm /dev/kvm',
          'chmod 660 /dev/kvm',
        ),
      ];
    },
  }),
];
