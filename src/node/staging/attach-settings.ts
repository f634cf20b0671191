import { interfaceFilter } from '../../volumes/interface-patterns.ts';
import { VolumeError } from '../../volumes/errors.ts';
import type { VolumeSettings } from '../../volumes/parameters.ts';
import type { AttachSettings, InitiatorClient } from '../initiator-client.ts';

/**
 * How a volume is to be attached on this node: its parameters, with the interfaces that both it and the node allow.
 * @throws VolumeError `failed-precondition` naming both lists when they have nothing in common
 */
export async function attachSettings(
  initiator: InitiatorClient,
  address: string,
  { interfaces: patterns, deadSeconds, maxOutstanding }: VolumeSettings,
  readOnly: boolean,
): Promise<AttachSettings> {
  const allowed = (await initiator.interfaces()).map(({ name }) => name);
  const interfaces = patterns.length === 0 ? [] : allowed.filter(interfaceFilter(patterns)).toSorted();
  if (patterns.length > 0 && interfaces.length === 0) {
    const those = allowed.length === 0 ? 'none' : allowed.join(', ');
    throw new VolumeError(
      'failed-precondition',
      `cannot attach ${address}: its parameter interfaces allows ${patterns.join(', ')}, and this node's initiator ${those}; ` +
        'let them have an interface in common',
    );
  }
  return { readOnly, deadSeconds, maxOutstanding, interfaces };
}
