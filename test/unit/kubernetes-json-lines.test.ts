import { expect, test } from '@jest/globals';
import { linesOf } from '../../src/kubernetes/json-lines.ts';

const TEXT = '{"a":"é"}\n\n{"b":2}\nrest';

async function* chunksOf(...texts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* texts;
  await Promise.resolve();
}

async function collected(chunks: AsyncIterable<Uint8Array>, bytesMax = 100): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(chunks, bytesMax)) lines.push(line);
  return lines;
}

test('linesOf() finds the same lines wherever the stream is cut, and no line that has not ended', async () => {
  const bytes = Buffer.from(TEXT);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const parts = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      expect(await collected(chunksOf(...parts))).toEqual(['{"a":"é"}', '', '{"b":2}']);
    }
  }
});

test('linesOf() ends with an error when a line is too long, however it comes', async () => {
  const long = Buffer.from('x'.repeat(8));
  await expect(collected(chunksOf(long, long), 10)).rejects.toMatchObject({ name: 'LongLineError' });
  await expect(collected(chunksOf(Buffer.from(`${'x'.repeat(11)}\n`)), 10)).rejects.toMatchObject({ name: 'LongLineError' });
  expect(await collected(chunksOf(Buffer.from(`${'x'.repeat(10)}\n`)), 10)).toHaveLength(1);
});
