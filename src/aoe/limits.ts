/** Every bound and time constant of the engine, in one place. Times are microseconds. */

/** Copies of frames that may be unanswered at once, over all targets: a power of two, because a tag's low bits index the table. */
export const COPIES_MAX = 32_768;
/** Share of the copies that only the engine's own questions may take: a path must be provable however much waits. */
export const COPIES_SPARE_SHARE = 1 / 16;
/**
 * Pieces of requests that may be under way at once, over all targets: 128 volumes with MAX_OUTSTANDING_DEFAULT each may be silent
 * before others have to wait.
 */
export const FRAGMENTS_MAX = 16_384;
/** Copies of one fragment whose late answers are still accepted: the first and the latest. */
export const COPIES_PER_FRAGMENT_MAX = 4;

/** Targets remembered from discovery; further ones are counted and not taken up. */
export const TARGETS_MAX = 16_384;
/** Paths (local interface × target MAC) remembered per target. */
export const PATHS_PER_TARGET_MAX = 16;
export const PORTS_MAX = 32;

/** Cap on unanswered frames per target unless the volume asks for less (the Linux driver's documented aoe_maxout). */
export const MAX_OUTSTANDING_DEFAULT = 128;
export const MAX_OUTSTANDING_LIMIT = 1_024;
/** First congestion window of a path, in frames. */
export const WINDOW_START = 8;

/** Sectors in a frame before a full-size probe has passed both ways, and after large frames were lost. */
export const SECTORS_UNPROVEN = 2;
/** Sectors of a request that are sent before others of its volume have their turn (1 MiB): a power of two. */
export const TURN_SECTORS = 2_048;
/** No frame carries more (16 KiB): enough for any Ethernet MTU, and a bound for receive buffers. */
export const FRAME_SECTORS_MAX = 32;

export const RTO_INITIAL_US = 200_000;
export const RTO_FLOOR_US = 20_000;
export const RTO_CEILING_US = 4_000_000;
/** Flushes and trims take a disk's time, not the network's: they are waited for at least this long. */
export const SLOW_COMMAND_US = 500_000;
/** Replies to later frames on the same path after which a frame counts as lost (RFC 5681's three). */
export const REORDER_FRAMES_MIN = 3;
export const REORDER_FRAMES_MAX = 64;
/** Timeouts in a row without any answer after which a path takes no I/O until it has said who it is. */
export const TIMEOUTS_UNTIL_SUSPECT = 3;
/** Losses of one fragment larger than SECTORS_UNPROVEN after which its path is taken to drop large frames. */
export const LARGE_LOSSES_UNTIL_STEP_DOWN = 2;
/** Read replies shorter than asked for that are tried again before the request fails. */
export const SHORT_REPLIES_MAX = 3;
/** A target whose device is unavailable is asked again after this long. */
export const UNAVAILABLE_POLL_US = 250_000;

/** Probes of a silent target: first pause, doubled up to the longest. */
export const PROBE_FIRST_US = 100_000;
export const PROBE_LONGEST_US = 1_000_000;
/** A payload size is given up after this many unanswered probes, each waited for twice as long as the one before. */
export const PAYLOAD_PROBES = 4;
/** A payload below the best possible one: pause before the best is tried again, doubled up to the longest. */
export const PAYLOAD_RETRY_FIRST_US = 4_000_000;
export const PAYLOAD_RETRY_LONGEST_US = 60_000_000;
/** An attached target's configuration and identity are asked again this often. */
export const REVERIFY_US = 30_000_000;
/** A path with nothing under way takes I/O at once for so long after an answer; later it is asked first who it is. */
export const SURE_US = 2_000_000;
/** Longer than any pause between two calls while something is waited for: the engine's own process has stood still. */
export const AWAY_US = 3_000_000;
/** The read that is to prove a path is sent no longer after its identity was learnt than this; then that is asked again. */
export const IDENTITY_FRESH_US = 1_000_000;
/** Announcements closer together than this are told once. */
export const VERIFY_SPACING_US = 100_000;

/** Broadcast discovery: bursts after an interface came up, then this often (plus up to a quarter of random jitter). */
export const DISCOVER_INTERVAL_US = 60_000_000;
/** A MAC that has left two discoveries unanswered, and does no I/O, is gone. */
export const MAC_GONE_US = 2.5 * DISCOVER_INTERVAL_US;
export const DISCOVER_BURST_US: readonly number[] = [0, 200_000, 1_000_000];
/** Directed queries for an address that an attach waits for. */
export const ATTACH_QUERY_US = 200_000;
/** A volume that is taken up again is not taken for fenced before this long; half of what a hand-over waits for it (READY_MS there). */
export const RESUME_US = 5_000_000;
/** An attached target that is silent where it was is looked for everywhere this often. */
export const SEARCH_US = 2_000_000;
/** After the first answer an attach listens this long for a second target on the same address. */
export const ATTACH_SETTLE_US = 50_000;
/** IDENTIFY requests for merely discovered targets that may be unanswered at once, and how often each is tried. */
export const IDENTIFY_PARALLEL = 16;
export const IDENTIFY_TRIES = 5;

/**
 * How long an unanswered copy of an acknowledged write may still arrive at its target. Overlapping new writes wait until it has
 * been answered or this has passed (reference/aoe.md §6.2, "late duplicate write").
 */
export const QUARANTINE_US = 2_000_000;

/** Questions about ownership that may be open at once, over all targets. */
export const COMMANDS_MAX = 256;
/** Their repetition: first pause, doubled up to the longest. */
export const COMMAND_FIRST_US = 100_000;
export const COMMAND_LONGEST_US = 1_000_000;
