/** What we choose where the protocol leaves a choice, and a bound on everything that a client controls. */

/** The addressable unit of NBD requests here is an ATA sector: no read-modify-write anywhere. */
export const BLOCK_BYTES_MIN = 512;
/**
 * Preferred request size: the smallest that costs no read-modify-write on any target (4 KiB physical sectors) nor in a page cache.
 * It isn't the fastest one: clients take it as a granularity, and a larger value would make them read more than they were asked for.
 */
export const BLOCK_BYTES_PREFERRED = 4096;
/** Largest read or write: what the protocol tells clients to assume, and the most that Linux sends (queue/max_sectors_kb). */
export const PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;
/** The payload of a refused write is read and thrown away up to this length; a longer one is not worth waiting for. */
export const DRAIN_BYTES_MAX = 2 * PAYLOAD_BYTES_MAX;
/** Requests that a client may have waiting for its replies: twice what the Linux client keeps in flight. */
export const IN_FLIGHT_MAX = 256;

/** Longest option that is looked at: a name of any legal length and over a thousand wishes for information. */
export const OPTION_BYTES_MAX = 8 * 1024;
/** The data of a longer option is skipped up to this length. */
export const OPTION_SKIP_BYTES_MAX = 1024 * 1024;
/** Options in one negotiation. Real clients send fewer than ten. */
export const OPTIONS_MAX = 128;
/** Of a name that a client sent, this much goes into a log event. */
export const LOGGED_NAME_CHARACTERS_MAX = 64;

/** Bytes received ahead: eight 4 KiB writes, or a thousand headers, in one system call. At most CHUNK_BYTES: see IncomingPayload. */
export const RECEIVE_BYTES = 32 * 1024;
/** Writes from here on are large: what was received ahead of one has to be copied, so only little is. */
export const LARGE_WRITE_BYTES = 16 * 1024;
/** Bytes received ahead behind a large write: enough for a burst of other requests' headers. */
export const RECEIVE_BYTES_AFTER_LARGE_WRITE = 512;
/** The longest answer to one option: export, a name of any legal length, block sizes and the acknowledgement. */
export const NEGOTIATION_OUTPUT_BYTES = 5 * 1024;
