/* NBD wire facts (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md), and whole reads and writes of a stream. */
#ifndef NBD_H
#define NBD_H

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define NBD_MAGIC 0x4e42444d41474943ULL  /* "NBDMAGIC" */
#define NBD_IHAVEOPT 0x49484156454f5054ULL /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC 0x3e889045565a9ULL
enum { NBD_FIXED_NEWSTYLE = 1, NBD_NO_ZEROES = 2, NBD_OPT_EXPORT_NAME = 1, NBD_HAS_FLAGS = 1 };
enum { NBD_READ = 0, NBD_WRITE = 1, NBD_DISC = 2, NBD_REQUEST_MAGIC = 0x25609513, NBD_REPLY_MAGIC = 0x67446698 };
static const uint32_t NBD_REP_ERR_UNSUP = 0x80000001;

struct nbd_request {
  uint32_t magic;
  uint16_t flags, type;
  uint64_t cookie, offset;
  uint32_t length;
} __attribute__((packed));

struct nbd_reply {
  uint32_t magic, error;
  uint64_t cookie;
} __attribute__((packed));

struct nbd_option {
  uint64_t magic;
  uint32_t option, length;
} __attribute__((packed));

/* Reads exactly `length` bytes of a blocking stream; 0 when it ended or failed before that. */
static inline int read_all(int fd, void *into, size_t length) {
  for (size_t have = 0; have < length;) {
    ssize_t got = read(fd, (uint8_t *)into + have, length - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    have += got;
  }
  return 1;
}

static inline int write_all(int fd, const void *from, size_t length) {
  for (size_t gone = 0; gone < length;) {
    ssize_t put = write(fd, (const uint8_t *)from + gone, length - gone);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return 0;
    gone += put;
  }
  return 1;
}

#endif
