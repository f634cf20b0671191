#include "aoe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/time.h>
#include <unistd.h>

enum { ETHERTYPE_AOE = 0x88a2, PACKET_IGNORE_OUTGOING_OPTION = 23 };
enum { FLAG_RESPONSE = 0x08, FLAG_ERROR = 0x04, ATA_FAILED = 0xa9 };
enum { ATA_WRITE = 0x01, ATA_LBA48 = 0x40, READ_SECTORS_EXT = 0x24, WRITE_SECTORS_EXT = 0x34 };
static const uint32_t TAG_USER_SPACE = 0x80000000;

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static uint32_t read32(const uint8_t *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }

static void write_header(struct aoe *aoe, uint8_t *frame, const uint8_t *target, uint8_t command, uint32_t tag) {
  memset(frame, 0, FRAME_BYTES_MIN);
  memcpy(frame, target, 6);
  memcpy(frame + 6, aoe->own, 6);
  frame[12] = ETHERTYPE_AOE >> 8;
  frame[13] = ETHERTYPE_AOE & 0xff;
  frame[14] = 0x10;
  frame[16] = aoe->shelf >> 8;
  frame[17] = aoe->shelf & 0xff;
  frame[18] = aoe->slot;
  frame[19] = command;
  uint32_t big_endian = htonl(tag);
  memcpy(frame + 20, &big_endian, 4);
}

static void set(int fd, int level, int option, int value, const char *what) {
  if (setsockopt(fd, level, option, &value, sizeof value) < 0) die("aoe: can't set %s: %s", what, strerror(errno));
}

/* Only replies with a user-space tag: another program's requests and the kernel driver's replies don't wake us. */
static void attach_filter(int fd) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FLAG_RESPONSE, 0, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {sizeof code / sizeof code[0], code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) die("aoe: can't attach filter: %s", strerror(errno));
}

static void discover(struct aoe *aoe) {
  static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
  uint8_t frame[FRAME_BYTES_MAX];
  uint32_t tag = TAG_USER_SPACE | 0x7fff0000;
  for (int attempt = 0; attempt < 5; attempt++) {
    write_header(aoe, frame, everyone, 1, tag);
    if (send(aoe->fd, frame, FRAME_BYTES_MIN, 0) < 0) die("aoe: can't send a config query: %s", strerror(errno));
    for (;;) {
      ssize_t length = recv(aoe->fd, frame, sizeof frame, 0);
      if (length < 0) break;
      if (length < 32 || read32(frame + 20) != tag || frame[19] != 1) continue;
      memcpy(aoe->target, frame + 6, 6);
      return;
    }
  }
  die("aoe: no target e%u.%u answers", aoe->shelf, aoe->slot);
}

void aoe_open(struct aoe *aoe, const char *interface, uint16_t shelf, uint8_t slot) {
  aoe->fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: deaf until bound */
  if (aoe->fd < 0) die("aoe: can't open a packet socket (CAP_NET_RAW?): %s", strerror(errno));
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  if (ioctl(aoe->fd, SIOCGIFHWADDR, &request) < 0) die("aoe: no interface %s: %s", interface, strerror(errno));
  memcpy(aoe->own, request.ifr_hwaddr.sa_data, 6);
  aoe->shelf = shelf;
  aoe->slot = slot;
  set(aoe->fd, SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20, "SO_RCVBUFFORCE");
  set(aoe->fd, SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20, "SO_SNDBUFFORCE");
  set(aoe->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING_OPTION, 1, "PACKET_IGNORE_OUTGOING");
  attach_filter(aoe->fd);
  struct timeval silence = {SILENCE_MS / 1000, SILENCE_MS % 1000 * 1000};
  if (setsockopt(aoe->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) < 0) die("aoe: can't set SO_RCVTIMEO");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_AOE), .sll_ifindex = if_nametoindex(interface)};
  if (bind(aoe->fd, (struct sockaddr *)&address, sizeof address) < 0) die("aoe: can't bind to %s: %s", interface, strerror(errno));
  if (getrandom(&aoe->sequence, sizeof aoe->sequence, 0) < 0) die("aoe: no random bytes: %s", strerror(errno));
  for (uint32_t index = 0; index < aoe->window; index++) {
    aoe->frames[index].next_free = aoe->free;
    aoe->free = &aoe->frames[index];
  }
  discover(aoe);
}

void aoe_submit(struct aoe *aoe, struct aoe_request *request) {
  request->sent = request->done = 0;
  request->next = NULL;
  if (aoe->queue_tail) aoe->queue_tail->next = request;
  else aoe->queue_head = request;
  aoe->queue_tail = request;
}

/* Cuts the next frame from the oldest request that isn't all sent. */
static struct aoe_frame *next_frame(struct aoe *aoe) {
  struct aoe_request *request = aoe->queue_head;
  struct aoe_frame *frame = aoe->free;
  if (!request || !frame) return NULL;
  aoe->free = frame->next_free;
  uint32_t left = request->sectors - request->sent;
  frame->sectors = left < aoe->sectors_per_frame ? left : aoe->sectors_per_frame;
  frame->request = request;
  frame->data = request->data ? request->data + (size_t)request->sent * SECTOR_BYTES : NULL;
  frame->tag = TAG_USER_SPACE | (uint32_t)(aoe->sequence++ & 0x1fffff) << 10 | (uint32_t)(frame - aoe->frames);
  write_header(aoe, frame->header, aoe->target, 0, frame->tag);
  uint64_t lba = request->lba + request->sent;
  frame->header[24] = ATA_LBA48 | (request->write ? ATA_WRITE : 0);
  frame->header[26] = frame->sectors;
  frame->header[27] = request->write ? WRITE_SECTORS_EXT : READ_SECTORS_EXT;
  for (int byte = 0; byte < 6; byte++) frame->header[28 + byte] = lba >> (8 * byte);
  frame->newer = NULL;
  frame->older = aoe->newest;
  if (aoe->newest) aoe->newest->newer = frame;
  else aoe->oldest = frame;
  aoe->newest = frame;
  aoe->outstanding++;
  request->sent += frame->sectors;
  if (request->sent == request->sectors) {
    aoe->queue_head = request->next;
    if (!aoe->queue_head) aoe->queue_tail = NULL;
  }
  return frame;
}

void aoe_send(struct aoe *aoe) {
  for (;;) {
    int count = 0;
    struct aoe_frame *frame;
    while (count < BATCH_MAX && (frame = next_frame(aoe)) != NULL) {
      struct iovec *parts = aoe->send_parts[count];
      parts[0] = (struct iovec){frame->header, frame->request->write ? HEADER_BYTES : FRAME_BYTES_MIN};
      parts[1] = (struct iovec){frame->data, (size_t)frame->sectors * SECTOR_BYTES};
      aoe->send[count].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = frame->request->write ? 2 : 1};
      count++;
    }
    if (count == 0) return;
    for (int sent = 0; sent < count;) {
      int accepted = sendmmsg(aoe->fd, aoe->send + sent, count - sent, 0);
      if (accepted < 0) die("aoe: can't send: %s", strerror(errno));
      aoe->send_calls++;
      sent += accepted;
    }
    aoe->frames_sent += count;
  }
}

/* Lets message `index` of the next batch land where `expected` wants its payload, or in the slab. */
static void aim(struct aoe *aoe, int index, struct aoe_frame *expected) {
  struct iovec *parts = aoe->receive_parts[index];
  uint8_t *slab = aoe->slab[index];
  bool placed = aoe->placement == PLACE_PREDICTED && expected && !expected->request->write;
  parts[0] = (struct iovec){slab, HEADER_BYTES};
  parts[1] = placed ? (struct iovec){expected->data, (size_t)expected->sectors * SECTOR_BYTES}
                    : (struct iovec){slab + HEADER_BYTES, FRAME_BYTES_MAX - HEADER_BYTES};
  aoe->receive[index].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
}

/* The frame a reply answers, or NULL for one that isn't ours. Ends the process when the target reports an error. */
static struct aoe_frame *match(struct aoe *aoe, const uint8_t *reply, uint32_t length) {
  if (length < HEADER_BYTES || reply[19] != 0) return NULL;
  uint32_t tag = read32(reply + 20);
  struct aoe_frame *frame = &aoe->frames[tag % WINDOW_MAX];
  if (frame->tag != tag) return NULL;
  if (reply[14] & FLAG_ERROR) die("aoe: target reports AoE error %u", reply[15]);
  if (reply[27] & ATA_FAILED) die("aoe: target reports ATA status %02x error %02x", reply[27], reply[25]);
  uint32_t wanted = HEADER_BYTES + (frame->request->write ? 0 : frame->sectors * SECTOR_BYTES);
  if (length < wanted) die("aoe: reply of %u bytes to a frame that wants %u", length, wanted);
  return frame;
}

static void finish(struct aoe *aoe, struct aoe_frame *frame) {
  struct aoe_request *request = frame->request;
  if (frame->older) frame->older->newer = frame->newer;
  else aoe->oldest = frame->newer;
  if (frame->newer) frame->newer->older = frame->older;
  else aoe->newest = frame->older;
  request->done += frame->sectors;
  frame->tag = 0;
  frame->next_free = aoe->free;
  aoe->free = frame;
  aoe->outstanding--;
  aoe->frames_received++;
  if (request->done == request->sectors) request->completed(request);
}

/*
 * Brings the payloads of one batch to their places. Those that were aimed wrongly pass through their slabs first, because
 * their places may hold another one's payload.
 */
static void place(struct aoe *aoe, struct aoe_frame **frames, int count) {
  for (int index = 0; index < count; index++) {
    uint8_t *landed = aoe->receive_parts[index][1].iov_base, *slab = aoe->slab[index] + HEADER_BYTES;
    struct aoe_frame *frame = frames[index];
    if (frame && !frame->request->write && landed != slab && landed != frame->data) {
      memcpy(slab, landed, (size_t)frame->sectors * SECTOR_BYTES);
      aoe->frames_moved++;
    }
  }
  for (int index = 0; index < count; index++) {
    uint8_t *landed = aoe->receive_parts[index][1].iov_base;
    struct aoe_frame *frame = frames[index];
    if (frame && !frame->request->write && landed != frame->data)
      memcpy(frame->data, aoe->slab[index] + HEADER_BYTES, (size_t)frame->sectors * SECTOR_BYTES);
  }
}

int aoe_receive(struct aoe *aoe, bool wait) {
  struct aoe_frame *frames[BATCH_MAX], *expected = aoe->oldest;
  for (int index = 0; index < BATCH_MAX; index++) {
    aim(aoe, index, expected);
    if (expected) expected = expected->newer;
  }
  int count = recvmmsg(aoe->fd, aoe->receive, BATCH_MAX, wait ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);
  aoe->receive_calls++;
  if (count < 0) {
    if (errno == EAGAIN && !wait) return 0;
    if (errno == EAGAIN) die("aoe: no reply within %d ms, %u frames outstanding", SILENCE_MS, aoe->outstanding);
    die("aoe: can't receive: %s", strerror(errno));
  }
  for (int index = 0; index < count; index++) frames[index] = match(aoe, aoe->slab[index], aoe->receive[index].msg_len);
  if (aoe->placement != PLACE_NOWHERE) place(aoe, frames, count);
  for (int index = 0; index < count; index++)
    if (frames[index]) finish(aoe, frames[index]);
  return count;
}
