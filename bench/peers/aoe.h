/*
 * The least an AoE initiator can do, in C: the bench's measure of what target and kernel allow.
 * Packet socket, recvmmsg/sendmmsg, a window of frames, a queue of requests. No retransmission: silence is an error.
 * Frame layout: AoEr11 sections 2 and 3.1, drawn in src/aoe/layout.ts.
 */
#ifndef AOE_H
#define AOE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
  SECTOR_BYTES = 512,
  HEADER_BYTES = 36,
  FRAME_BYTES_MIN = 60,
  FRAME_BYTES_MAX = 9216,
  WINDOW_MAX = 1024,
  BATCH_MAX = 64,
  SILENCE_MS = 2000,
};

/* Where the payload of a read goes. */
enum aoe_placement {
  PLACE_NOWHERE,   /* stays in the receive slab: nobody wants it */
  PLACE_BY_COPY,   /* received into the slab, then copied to the request's memory */
  PLACE_PREDICTED, /* received where the oldest unanswered frame wants it, and moved only when another one came */
};

/* A read or write of any length. Its memory belongs to the initiator until `completed` is called. */
struct aoe_request {
  bool write;
  uint64_t lba;
  uint32_t sectors;
  uint8_t *data;
  void (*completed)(struct aoe_request *);
  void *owner;
  uint32_t sent, done; /* sectors; the initiator's */
  struct aoe_request *next;
};

/* One frame on the wire, by the low bits of its tag. */
struct aoe_frame {
  uint32_t tag; /* 0 = free */
  uint32_t sectors;
  struct aoe_request *request;
  uint8_t *data;
  struct aoe_frame *older, *newer; /* in order of sending */
  struct aoe_frame *next_free;
  uint8_t header[FRAME_BYTES_MIN];
};

struct aoe {
  int fd;
  uint32_t sectors_per_frame, window, outstanding;
  enum aoe_placement placement;
  uint64_t frames_sent, frames_received, frames_moved, receive_calls, send_calls;
  uint8_t target[6], own[6];
  uint16_t shelf;
  uint8_t slot;
  uint32_t sequence;
  struct aoe_request *queue_head, *queue_tail;
  struct aoe_frame frames[WINDOW_MAX], *free, *oldest, *newest;
  struct mmsghdr send[BATCH_MAX], receive[BATCH_MAX];
  struct iovec send_parts[BATCH_MAX][2], receive_parts[BATCH_MAX][2];
  uint8_t slab[BATCH_MAX][FRAME_BYTES_MAX];
};

/* Opens the socket and finds the target by a config query; ends the process with a message if there is no answer. */
void aoe_open(struct aoe *aoe, const char *interface, uint16_t shelf, uint8_t slot);
/* Queues a request; frames leave at the next aoe_send. */
void aoe_submit(struct aoe *aoe, struct aoe_request *request);
/* Sends what the window allows. */
void aoe_send(struct aoe *aoe);
/* Takes one batch of replies and completes their requests; `wait` for at least one. Returns how many frames came. */
int aoe_receive(struct aoe *aoe, bool wait);
/* Says what went wrong and ends the process. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
