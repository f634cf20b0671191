const NEWLINE = 0x0a;

/** A line of more bytes than allowed: what comes after can't be read any more. */
export class LongLineError extends Error {
  override readonly name = 'LongLineError';
}

/**
 * The lines of a stream of bytes, one after the other, with no more of them in memory than one line and one chunk.
 * @param bytesMax of a line
 * @throws LongLineError
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<string> {
  const limit = (length: number): void => {
    if (length > bytesMax) throw new LongLineError(`a line has more than ${bytesMax} bytes`);
  };
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      limit(bytes + at - from);
      parts.push(chunk.subarray(from, at));
      yield Buffer.concat(parts).toString();
      parts = [];
      bytes = 0;
      from = at + 1;
    }
    bytes += chunk.length - from;
    limit(bytes);
    parts.push(chunk.subarray(from));
  }
}
