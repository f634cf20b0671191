/*
 * aoe-loop INTERFACE SHELF SLOT SECTORS-PER-FRAME WINDOW read|write|randread|randwrite BLOCK-BYTES DEPTH SIZE-BYTES SECONDS
 *
 * Keeps DEPTH requests of BLOCK-BYTES in flight for SECONDS and prints one line of JSON. The payload of reads is checked
 * for its length and thrown away: nothing above the kernel touches it.
 */
#include "aoe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { DEPTH_MAX = 256 };

static struct aoe aoe;
static bool writing, random_order;
static uint64_t block_sectors, blocks, next_block, finished, random_state = 88172645463325252ULL;
static double stop_at;

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

static void submit(struct aoe_request *request) {
  request->lba = pick_block() * block_sectors;
  aoe_submit(&aoe, request);
}

static void completed(struct aoe_request *request) {
  finished++;
  if (now() < stop_at) submit(request);
}

static double seconds_of(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

int main(int argc, char **argv) {
  if (argc != 11) die("usage: %s interface shelf slot sectors-per-frame window workload block depth size seconds", argv[0]);
  aoe.sectors_per_frame = atoi(argv[4]);
  aoe.window = atoi(argv[5]);
  writing = strstr(argv[6], "write") != NULL;
  random_order = strncmp(argv[6], "rand", 4) == 0;
  size_t block_bytes = strtoull(argv[7], NULL, 10);
  int depth = atoi(argv[8]);
  uint64_t size_bytes = strtoull(argv[9], NULL, 10);
  double seconds = atof(argv[10]);
  if (aoe.window < 1 || aoe.window > WINDOW_MAX) die("window must be 1 to %d", WINDOW_MAX);
  if (depth < 1 || depth > DEPTH_MAX) die("depth must be 1 to %d", DEPTH_MAX);
  if (block_bytes == 0 || size_bytes < block_bytes) die("block must be more than 0 and fit into size");
  block_sectors = block_bytes / SECTOR_BYTES;
  blocks = size_bytes / block_bytes;

  aoe_open(&aoe, argv[1], atoi(argv[2]), atoi(argv[3]));
  static struct aoe_request requests[DEPTH_MAX];
  double began = now();
  stop_at = began + seconds;
  for (int index = 0; index < depth; index++) {
    requests[index] = (struct aoe_request){.write = writing, .sectors = block_sectors, .completed = completed};
    if (writing) {
      requests[index].data = malloc(block_bytes);
      memset(requests[index].data, 'a' + index % 26, block_bytes);
    }
    submit(&requests[index]);
  }
  for (aoe_send(&aoe); aoe.outstanding > 0; aoe_send(&aoe)) aoe_receive(&aoe, true);

  double took = now() - began;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"seconds\":%.6f,\"requests\":%lu,\"bytes\":%lu,\"frames\":%lu,\"userSeconds\":%.6f,\"systemSeconds\":%.6f,"
         "\"sendCalls\":%lu,\"receiveCalls\":%lu}\n",
         took, finished, finished * block_bytes, aoe.frames_received, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime),
         aoe.send_calls, aoe.receive_calls);
  return 0;
}
