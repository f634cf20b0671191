/**
 * Byte offsets in NBD messages. All fields big endian.
 *
 * ```
 *  0            8            16   18
 * | NBDMAGIC   | IHAVEOPT   | flg |                              greeting, server
 *  0    4
 * | flags |                                                      its answer, client
 *  0            8       12      16
 * | IHAVEOPT   | option | length | data …                        option, client
 *  0            8       12      16       20
 * | 3e889…     | option | type   | length | data …               answer to an option, server
 *  0            8    10
 * | size       | flags | 124 zeroes |                            answer to EXPORT_NAME, server
 *  0       4    6    8            16           24       28
 * | 25609513 | flg | cmd | cookie    | offset    | length | data …   request, client
 *  0          4       8            16
 * | 67446698 | error | cookie     | data …                       simple reply, server
 * ```
 */

export const GREETING_OPTION_MAGIC = 8;
export const GREETING_FLAGS = 16;
export const GREETING_BYTES = 18;

export const CLIENT_FLAGS_BYTES = 4;

export const OPTION_CODE = 8;
export const OPTION_LENGTH = 12;
export const OPTION_DATA = 16;

export const OPTION_REPLY_CODE = 8;
export const OPTION_REPLY_TYPE = 12;
export const OPTION_REPLY_LENGTH = 16;
export const OPTION_REPLY_DATA = 20;

export const EXPORT_NAME_FLAGS = 8;
export const EXPORT_NAME_BYTES = 10;

export const REQUEST_FLAGS = 4;
export const REQUEST_COMMAND = 6;
export const REQUEST_COOKIE = 8;
export const REQUEST_OFFSET = 16;
export const REQUEST_LENGTH = 24;
export const REQUEST_BYTES = 28;

export const REPLY_ERROR = 4;
export const REPLY_COOKIE = 8;
export const REPLY_BYTES = 16;
