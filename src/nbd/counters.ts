/** Why a request was answered with an error without asking the device. */
export type RefusalReason =
  | 'unknownCommand'
  | 'unknownFlag'
  | 'notOffered'
  | 'readOnly'
  | 'misaligned'
  | 'empty'
  | 'beyondEnd'
  | 'tooLong'
  | 'flushOfRange'
  | 'shutdown';

/** Why a connection was given up. */
export type DropReason =
  'clientFlags' | 'optionMagic' | 'optionTooLong' | 'tooManyOptions' | 'unknownExport' | 'requestMagic' | 'payloadTooLong';

/** What sessions did. Sessions that share the object add up in it. */
export interface NbdCounters {
  readonly requests: { read: number; write: number; flush: number; trim: number; writeZeroes: number };
  /** Payload of reads that went out and of writes that came in whole. */
  readonly bytes: { read: number; written: number };
  /** Requests that the device answered with an error. */
  failed: number;
  readonly refused: Record<RefusalReason, number>;
  readonly dropped: Record<DropReason, number>;
  /** Times that a session stopped reading because chunks, requests or its own share of them had run out. */
  pauses: number;
}

export function newNbdCounters(): NbdCounters {
  return {
    requests: { read: 0, write: 0, flush: 0, trim: 0, writeZeroes: 0 },
    bytes: { read: 0, written: 0 },
    failed: 0,
    refused: {
      unknownCommand: 0,
      unknownFlag: 0,
      notOffered: 0,
      readOnly: 0,
      misaligned: 0,
      empty: 0,
      beyondEnd: 0,
      tooLong: 0,
      flushOfRange: 0,
      shutdown: 0,
    },
    dropped: {
      clientFlags: 0,
      optionMagic: 0,
      optionTooLong: 0,
      tooManyOptions: 0,
      unknownExport: 0,
      requestMagic: 0,
      payloadTooLong: 0,
    },
    pauses: 0,
  };
}
