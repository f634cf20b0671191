/*
 * nbd-load SOCKET EXPORT read|write|randread|randwrite BLOCK-BYTES DEPTH SIZE-BYTES SECONDS
 *
 * The cheapest NBD client there can be: keeps DEPTH requests in flight on a unix socket and throws the data away. Beside fio
 * it tells what the socket costs and what fio costs. Prints one line of JSON.
 */
#include "nbd.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

enum { BLOCK_BYTES_MAX = 1 << 20, INPUT_BYTES = 1 << 20 };

static int server;
static bool writing, random_order;
static uint64_t block_bytes, blocks, next_block, finished, random_state = 88172645463325252ULL;
static uint8_t block[BLOCK_BYTES_MAX], input[INPUT_BYTES];

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static uint64_t pick_block(void) {
  if (!random_order) return next_block++ % blocks;
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % blocks;
}

static void submit(void) {
  struct nbd_request request = {htobe32(NBD_REQUEST_MAGIC), 0, htobe16(writing ? NBD_WRITE : NBD_READ), htobe64(next_block),
                                htobe64(pick_block() * block_bytes), htobe32(block_bytes)};
  struct iovec parts[2] = {{&request, sizeof request}, {block, block_bytes}};
  ssize_t whole = sizeof request + (writing ? block_bytes : 0), put = writev(server, parts, writing ? 2 : 1);
  if (put != whole) die("nbd-load: can't send a request: %s", strerror(errno));
}

static void negotiate(const char *path, const char *export) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  server = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(server, (struct sockaddr *)&address, sizeof address) < 0) die("nbd-load: can't connect to %s: %s", path, strerror(errno));
  uint8_t hello[18], answer[10];
  struct { uint32_t flags; struct nbd_option option; } __attribute__((packed)) choice = {
      htobe32(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES),
      {htobe64(NBD_IHAVEOPT), htobe32(NBD_OPT_EXPORT_NAME), htobe32(strlen(export))}};
  if (!read_all(server, hello, sizeof hello) || !write_all(server, &choice, sizeof choice) ||
      !write_all(server, export, strlen(export)) || !read_all(server, answer, sizeof answer))
    die("nbd-load: server ended the negotiation of export %s", export);
}

/* Counts the replies in what arrives; their data is read and left where it is. */
static void run(int depth, double stop_at) {
  int in_flight = 0;
  size_t have = 0, skip = 0;
  for (; in_flight < depth; in_flight++) submit();
  while (in_flight > 0) {
    ssize_t got = read(server, input + have, sizeof input - have);
    if (got <= 0) die("nbd-load: server has gone: %s", got < 0 ? strerror(errno) : "end of stream");
    size_t at = 0, end = have + got;
    for (;;) {
      size_t skipped = skip < end - at ? skip : end - at;
      at += skipped;
      skip -= skipped;
      if (skip > 0 || end - at < sizeof(struct nbd_reply)) break;
      struct nbd_reply *reply = (struct nbd_reply *)(input + at);
      if (be32toh(reply->magic) != NBD_REPLY_MAGIC || reply->error) die("nbd-load: reply with error %u", be32toh(reply->error));
      at += sizeof *reply;
      skip = writing ? 0 : block_bytes;
      finished++;
      if (now() < stop_at) submit();
      else in_flight--;
    }
    have = end - at;
    memmove(input, input + at, have);
  }
  while (skip > 0) {
    ssize_t got = read(server, input, skip < sizeof input ? skip : sizeof input);
    if (got <= 0) die("nbd-load: server has gone");
    skip -= got;
  }
}

static double seconds_of(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

int main(int argc, char **argv) {
  if (argc != 8) die("usage: %s socket export workload block depth size seconds", argv[0]);
  writing = strstr(argv[3], "write") != NULL;
  random_order = strncmp(argv[3], "rand", 4) == 0;
  block_bytes = strtoull(argv[4], NULL, 10);
  blocks = strtoull(argv[6], NULL, 10) / (block_bytes ? block_bytes : 1);
  if (block_bytes == 0 || block_bytes > BLOCK_BYTES_MAX || blocks == 0) die("nbd-load: block of %lu bytes", block_bytes);
  negotiate(argv[1], argv[2]);
  double began = now();
  run(atoi(argv[5]), began + atof(argv[7]));
  double took = now() - began;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"seconds\":%.6f,\"requests\":%lu,\"bytes\":%lu,\"userSeconds\":%.6f,\"systemSeconds\":%.6f}\n", took, finished,
         finished * block_bytes, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime));
  return 0;
}
