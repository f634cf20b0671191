/** What the driver is called where nothing else is configured. */
export const DEFAULT_DRIVER_NAME = 'aoe.csi.dev';

/**
 * Whether a driver may be called so: a domain name of at most 63 characters. It begins and ends with a letter, which is a little
 * more than the specification wants (GetPluginInfoResponse.name) and what csi-sanity tests.
 */
export function isDriverName(text: string): boolean {
  return /^[A-Za-z]([A-Za-z0-9.-]{0,61}[A-Za-z])$/.test(text) && !/[.-]{2}/.test(text);
}
