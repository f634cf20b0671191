/*
 * aoe-nbd INTERFACE SHELF SLOT SECTORS-PER-FRAME WINDOW SOCKET SIZE-BYTES copy|predict SNDBUF-BYTES REPLIES-PER-CALL
 *
 * What our initiator does, at its barest and in C: serves one NBD client on a unix socket from an AoE target. It tells how
 * much of the distance between the loop and a real client is the socket, and how much is us. SNDBUF-BYTES 0 leaves the
 * kernel's default. Clients come one after the other; after each it prints one line of JSON. SIGTERM ends it.
 */
#include "aoe.h"
#include "nbd.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { REQUESTS = 128, REQUEST_BYTES_MAX = 1 << 20, INPUT_BYTES = 1 << 21, REPLIES_PER_CALL_MAX = 64 };

/* One request of the client. Its header is kept as received; its reply is written next to its data. */
struct job {
  struct aoe_request aoe;
  struct nbd_reply reply;
  uint32_t length, replied;
  struct job *next;
  uint8_t data[REQUEST_BYTES_MAX];
};

static struct aoe aoe;
static struct job jobs[REQUESTS], *idle, *reply_head, *reply_tail;
static uint8_t input[INPUT_BYTES];
static size_t input_begin, input_end;
static int client = -1, replies_per_call;
static bool leaving;
static uint64_t served, reply_calls, read_calls;

static void negotiate(uint64_t size_bytes) {
  struct { uint64_t magic, option_magic; uint16_t flags; } __attribute__((packed)) hello = {
      htobe64(NBD_MAGIC), htobe64(NBD_IHAVEOPT), htobe16(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)};
  uint32_t client_flags;
  if (!write_all(client, &hello, sizeof hello) || !read_all(client, &client_flags, 4)) die("nbd: client left the handshake");
  for (;;) {
    struct nbd_option option;
    static uint8_t argument[4096];
    if (!read_all(client, &option, sizeof option)) die("nbd: client left the negotiation");
    uint32_t length = be32toh(option.length);
    if (length > sizeof argument || !read_all(client, argument, length)) die("nbd: option of %u bytes", length);
    if (be32toh(option.option) == NBD_OPT_EXPORT_NAME) break;
    struct { uint64_t magic; uint32_t option, type, length; } __attribute__((packed)) refusal = {
        htobe64(NBD_OPTION_REPLY_MAGIC), option.option, htobe32(NBD_REP_ERR_UNSUP), 0};
    if (!write_all(client, &refusal, sizeof refusal)) die("nbd: client left the negotiation");
  }
  struct { uint64_t size; uint16_t flags; uint8_t zeroes[124]; } __attribute__((packed)) export = {
      htobe64(size_bytes), htobe16(NBD_HAS_FLAGS), {0}};
  if (!write_all(client, &export, be32toh(client_flags) & NBD_NO_ZEROES ? 10 : sizeof export)) die("nbd: client left");
}

static void completed(struct aoe_request *request) {
  struct job *job = request->owner;
  job->next = NULL;
  job->replied = 0;
  if (reply_tail) reply_tail->next = job;
  else reply_head = job;
  reply_tail = job;
}

/* Takes whole requests out of the input while there are jobs free. */
static void parse(void) {
  while (idle && input_end - input_begin >= sizeof(struct nbd_request)) {
    struct nbd_request *request = (struct nbd_request *)(input + input_begin);
    uint16_t type = be16toh(request->type);
    uint32_t length = be32toh(request->length);
    if (be32toh(request->magic) != NBD_REQUEST_MAGIC) die("nbd: bad request magic");
    if (type == NBD_DISC) {
      leaving = true;
      return;
    }
    if (type > NBD_WRITE || length == 0 || length > REQUEST_BYTES_MAX || length % SECTOR_BYTES) die("nbd: request of type %u, %u bytes", type, length);
    size_t whole = sizeof *request + (type == NBD_WRITE ? length : 0);
    if (input_end - input_begin < whole) return;
    struct job *job = idle;
    idle = job->next;
    job->length = type == NBD_READ ? length : 0;
    job->reply = (struct nbd_reply){htobe32(NBD_REPLY_MAGIC), 0, request->cookie};
    job->aoe = (struct aoe_request){.write = type == NBD_WRITE, .lba = be64toh(request->offset) / SECTOR_BYTES,
                                    .sectors = length / SECTOR_BYTES, .data = job->data, .completed = completed, .owner = job};
    if (type == NBD_WRITE) memcpy(job->data, input + input_begin + sizeof *request, length);
    input_begin += whole;
    aoe_submit(&aoe, &job->aoe);
  }
}

static void read_client(void) {
  if (input_begin == input_end) input_begin = input_end = 0;
  else if (input_end == INPUT_BYTES) {
    memmove(input, input + input_begin, input_end - input_begin);
    input_end -= input_begin;
    input_begin = 0;
  }
  ssize_t got = read(client, input + input_end, INPUT_BYTES - input_end);
  read_calls++;
  if (got == 0) leaving = true;
  else if (got > 0) input_end += got;
  else if (errno != EAGAIN) die("nbd: can't read: %s", strerror(errno));
}

/* Sends replies, up to REPLIES-PER-CALL in one call, until none is left or the socket is full. */
static void write_client(void) {
  while (reply_head) {
    struct iovec parts[2 * REPLIES_PER_CALL_MAX];
    int count = 0, replies = 0;
    for (struct job *job = reply_head; job && replies < replies_per_call; job = job->next, replies++) {
      size_t header_gone = job->replied < sizeof job->reply ? job->replied : sizeof job->reply;
      size_t data_gone = job->replied - header_gone;
      if (header_gone < sizeof job->reply) parts[count++] = (struct iovec){(uint8_t *)&job->reply + header_gone, sizeof job->reply - header_gone};
      if (job->length > data_gone) parts[count++] = (struct iovec){job->data + data_gone, job->length - data_gone};
    }
    ssize_t put = writev(client, parts, count);
    reply_calls++;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) die("nbd: can't write: %s", strerror(errno));
    while (reply_head) {
      struct job *job = reply_head;
      size_t left = sizeof job->reply + job->length - job->replied;
      if ((size_t)put < left) {
        job->replied += put;
        break;
      }
      put -= left;
      reply_head = job->next;
      if (!reply_head) reply_tail = NULL;
      job->next = idle;
      idle = job;
      served++;
    }
  }
}

static void serve(void) {
  while (!leaving) {
    struct pollfd ready[2] = {{.fd = aoe.fd, .events = POLLIN},
                              {.fd = client, .events = (idle ? POLLIN : 0) | (reply_head ? POLLOUT : 0)}};
    int count = poll(ready, 2, aoe.outstanding ? SILENCE_MS : -1);
    if (count < 0) die("nbd: can't poll: %s", strerror(errno));
    if (count == 0) die("aoe: no reply within %d ms, %u frames outstanding", SILENCE_MS, aoe.outstanding);
    if (ready[0].revents) aoe_receive(&aoe, false);
    if (ready[1].revents & (POLLIN | POLLHUP)) read_client();
    parse();
    aoe_send(&aoe);
    write_client();
  }
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  unlink(path);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0) die("nbd: can't listen on %s: %s", path, strerror(errno));
  return listener;
}

/* Forgets the client that has gone, once the target has answered all it asked for. */
static void reset(void) {
  for (aoe_send(&aoe); aoe.outstanding > 0; aoe_send(&aoe)) aoe_receive(&aoe, true);
  close(client);
  input_begin = input_end = 0;
  idle = reply_head = reply_tail = NULL;
  for (int index = 0; index < REQUESTS; index++) {
    jobs[index].next = idle;
    idle = &jobs[index];
  }
  leaving = false;
}

static double seconds_of(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

static void report(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"requests\":%lu,\"frames\":%lu,\"moved\":%lu,\"userSeconds\":%.6f,\"systemSeconds\":%.6f,\"sendCalls\":%lu,\"receiveCalls\":%lu,"
         "\"replyCalls\":%lu,\"readCalls\":%lu,\"voluntarySwitches\":%ld,\"involuntarySwitches\":%ld}\n",
         served, aoe.frames_received, aoe.frames_moved, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime), aoe.send_calls,
         aoe.receive_calls, reply_calls, read_calls, usage.ru_nvcsw, usage.ru_nivcsw);
}

int main(int argc, char **argv) {
  if (argc != 11) die("usage: %s interface shelf slot sectors-per-frame window socket size copy|predict sndbuf replies-per-call", argv[0]);
  aoe.sectors_per_frame = atoi(argv[4]);
  aoe.window = atoi(argv[5]);
  aoe.placement = strcmp(argv[8], "predict") == 0 ? PLACE_PREDICTED : PLACE_BY_COPY;
  int send_buffer = atoi(argv[9]);
  replies_per_call = atoi(argv[10]);
  if (replies_per_call < 1 || replies_per_call > REPLIES_PER_CALL_MAX) die("replies-per-call must be 1 to %d", REPLIES_PER_CALL_MAX);
  if (aoe.window < 1 || aoe.window > WINDOW_MAX) die("window must be 1 to %d", WINDOW_MAX);
  aoe_open(&aoe, argv[1], atoi(argv[2]), atoi(argv[3]));
  int listener = listen_at(argv[6]);
  puts("listening");
  for (;;) {
    fflush(stdout);
    reset();
    client = accept(listener, NULL, NULL);
    if (client < 0) die("nbd: can't accept: %s", strerror(errno));
    negotiate(strtoull(argv[7], NULL, 10));
    if (send_buffer && setsockopt(client, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof send_buffer) < 0) die("nbd: can't set SO_SNDBUF");
    if (fcntl(client, F_SETFL, O_NONBLOCK) < 0) die("nbd: can't set O_NONBLOCK: %s", strerror(errno));
    serve();
    report();
  }
}
