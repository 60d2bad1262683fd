/* rabbit CHAINS SECONDS HOP_US SETSID: in each chain a process forks its successor and ends, every HOP_US. The hardest tree to stop. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int count, char **given) {
  if (count != 5) return 2;
  int chains = atoi(given[1]), hop = atoi(given[3]), leaves = atoi(given[4]);
  double end = now() + atof(given[2]);
  for (int chain = 0; chain < chains; chain++) {
    if (fork() != 0) continue;
    for (;;) {
      if (now() > end) _exit(0);
      struct timespec pause = {0, hop * 1000L};
      nanosleep(&pause, 0);
      if (leaves) setsid();
      pid_t successor = fork();
      if (successor != 0) _exit(successor < 0);
    }
  }
  for (;;) {
    if (now() > end) _exit(0);
    struct timespec pause = {0, 20 * 1000000L};
    nanosleep(&pause, 0);
  }
}
