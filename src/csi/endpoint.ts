import { isAbsolute } from 'node:path';

/** Linux: sun_path without the NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * The socket's path in a CSI endpoint: `unix:///run/csi/csi.sock`, `unix:/run/csi/csi.sock` or the path alone.
 *
 * @throws Error that says what an endpoint looks like; the specification wants a plugin to end at once when its configuration is wrong
 */
export function socketPathOf(endpoint: string): string {
  const path = endpoint.replace(/^unix:(\/\/)?/, '');
  const complaint = complaintAbout(path);
  if (complaint === undefined) return path;
  throw new Error(`cannot use '${endpoint}' as the endpoint of CSI: ${complaint}; use something like unix:///run/csi/csi.sock`);
}

function complaintAbout(path: string): string | undefined {
  if (!isAbsolute(path)) return 'only unix sockets with an absolute path can be served';
  if (!path.endsWith('.sock')) return "the socket's name must end in .sock";
  if (path.includes('\0')) return 'it holds a NUL character';
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) return `the path has more than ${SOCKET_PATH_BYTES_MAX} bytes`;
  return undefined;
}
