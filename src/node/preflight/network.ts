import { failed, PASSED, warning, type Finding } from './finding.ts';

/** What the initiator says of an interface that it was told to use. */
export interface InterfaceFacts {
  readonly name: string;
  readonly mtu: number;
  readonly state: string;
  readonly reason: string;
}

/** Less has no room for two sectors in a frame. */
const MTU_MIN = 1_500;

/**
 * @param interfaces undefined while the initiator does not answer
 * @param areNeeded to say where this node is
 */
export function checkInterfaces(interfaces: readonly InterfaceFacts[] | undefined, areNeeded: boolean): Finding {
  if (interfaces === undefined) {
    const message = 'the initiator does not answer; is its container up?';
    return areNeeded ? failed(message) : warning(message);
  }
  if (interfaces.length === 0) {
    return failed('no interface may carry AoE: name some (initiator --interfaces; the value `interfaces` of the chart)');
  }
  const present = interfaces.filter(({ state }) => state === 'up' || state === 'down');
  const problems = interfaces
    .filter(({ state }) => state !== 'up')
    .map(({ name, state, reason }) => `${name} is ${state}${reason && `: ${reason}`}`);
  if (present.length === 0) {
    return failed(
      `no interface that may carry AoE can be used here: ${problems.join('; ')}; see \`ip link\`, and correct the names`,
    );
  }
  const narrow = present
    .filter(({ mtu }) => mtu < MTU_MIN)
    .map(({ name, mtu }) => `${name} has an MTU of ${mtu}, less than ${MTU_MIN}`);
  const all = [...problems, ...narrow];
  return all.length === 0 ? PASSED : warning(`${all.join('; ')}; see \`ip link\``);
}
