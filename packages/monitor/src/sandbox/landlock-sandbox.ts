/** Landlock, put on by the launch shim. Needs koffi and a kernel that has it, and no other program. */
import { landlockAbi } from '../kernel/landlock.ts';
import { native, nativeMissing } from '../native/native.ts';
import type { Scope } from '../scope/scope.ts';
import { landlockRules } from './landlock-rules.ts';
import { placesOf } from './places.ts';
import type { Sandbox, SandboxKind } from './sandbox-kind.ts';

export interface LandlockHost {
  /** 0: none. */
  readonly abi: () => number;
  readonly missing: () => string | undefined;
}

export function landlockSandbox(host: LandlockHost = THIS): SandboxKind {
  return {
    name: 'landlock',
    open: async (scope) => {
      const missing = host.missing();
      if (missing !== undefined) return { missing };
      const abi = host.abi();
      return abi > 0 ? opened(scope, abi) : { missing: 'the kernel has no landlock, or it is switched off: Linux 5.13 has it' };
    },
  };
}

const THIS: LandlockHost = {
  abi: () => {
    const calls = native()?.kernel;
    return calls === undefined ? 0 : landlockAbi(calls);
  },
  missing: () => (native() === undefined ? (nativeMissing() ?? 'koffi is missing') : undefined),
};

function opened(scope: Scope, abi: number): Sandbox {
  return {
    name: 'landlock',
    prepare: async (command, surroundings) => {
      const { rules, unexpressed } = landlockRules(scope, placesOf(command, surroundings), abi);
      return { ...command, landlock: rules, unexpressed };
    },
    close: async () => {},
  };
}
