import * as nbd from './constants.ts';

/** Names of the options that clients send, for answers and logs. Total: an unknown one is shown as its number. */

const OPTIONS = new Map<number, string>([
  [nbd.OPTION_EXPORT_NAME, 'EXPORT_NAME'],
  [nbd.OPTION_ABORT, 'ABORT'],
  [nbd.OPTION_LIST, 'LIST'],
  [nbd.OPTION_STARTTLS, 'STARTTLS'],
  [nbd.OPTION_INFO, 'INFO'],
  [nbd.OPTION_GO, 'GO'],
  [nbd.OPTION_STRUCTURED_REPLY, 'STRUCTURED_REPLY'],
  [nbd.OPTION_LIST_META_CONTEXT, 'LIST_META_CONTEXT'],
  [nbd.OPTION_SET_META_CONTEXT, 'SET_META_CONTEXT'],
  [nbd.OPTION_EXTENDED_HEADERS, 'EXTENDED_HEADERS'],
]);

export function optionName(option: number): string {
  return OPTIONS.get(option) ?? `option ${option}`;
}
