import { AF_UNIX } from './constants.ts';
import { ENAMETOOLONG, SystemError } from './errno.ts';
import { SOCKADDR_UN_FAMILY, SOCKADDR_UN_PATH, SOCKADDR_UN_PATH_BYTES } from './structs.ts';

/** struct sockaddr_un of a path, with its final zero byte. Throws SystemError ENAMETOOLONG when it does not fit into 107 bytes. */
export function pathAddress(path: string, attempt: string): Buffer {
  return encode(Buffer.from(`${path}\0`), attempt);
}

/** struct sockaddr_un of an abstract name (a leading zero byte, no final one). Throws SystemError ENAMETOOLONG past 107 bytes. */
export function abstractAddress(name: string, attempt: string): Buffer {
  return encode(Buffer.from(`\0${name}`), attempt);
}

function encode(name: Buffer, attempt: string): Buffer {
  if (name.length > SOCKADDR_UN_PATH_BYTES) {
    const advice = `use a name of at most ${SOCKADDR_UN_PATH_BYTES - 1} bytes: unix sockets take no longer ones`;
    throw new SystemError({ attempt, syscall: 'bind', errno: ENAMETOOLONG, advice });
  }
  const address = Buffer.alloc(SOCKADDR_UN_PATH + name.length);
  address.writeUInt16LE(AF_UNIX, SOCKADDR_UN_FAMILY);
  name.copy(address, SOCKADDR_UN_PATH);
  return address;
}
