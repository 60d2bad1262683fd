/*
 * A workload whose truth is known, for the tests and benches of kernel control. Each prints one JSON object.
 *
 *   workload children N US      N children one after the other; each is this program again, with a tag of its own, and lives US microseconds
 *   workload reads N PATH US    PATH opened, read and closed N times, held for US microseconds: how often it opened, bytes that were read
 *   workload opens N PATH       PATH opened and closed N times: median and mean of one pair in nanoseconds
 *   workload calls N PATH       N children at once, each with a marker of its own in its environment, each opens PATH-TAG and becomes this program once more
 *   workload threads N PATH     N threads, each opens PATH once and waits for all
 *   workload nothing ...        ends at once
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000L + at.tv_nsec;
}

static void wait_us(long us) {
  struct timespec left = {us / 1000000, us % 1000000 * 1000};
  while (us > 0 && nanosleep(&left, &left) < 0 && errno == EINTR) {
  }
}

static int ascending(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

static int children(char *self, int count, char *us) {
  int ran = 0;
  for (int at = 0; at < count; at++) {
    char tag[32];
    snprintf(tag, sizeof tag, "tag-%d", at);
    pid_t child = fork();
    if (child == 0) {
      execl(self, self, "live", us, tag, (char *)0);
      _exit(99);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ran += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  printf("{\"children\":%d,\"ran\":%d}\n", count, ran);
  return 0;
}

static int reads(int count, const char *path, long us) {
  long bytes = 0;
  int opened = 0, refused = 0;
  char buffer[256];
  for (int at = 0; at < count; at++) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      refused += errno == EPERM;
      continue;
    }
    opened++;
    ssize_t got = read(fd, buffer, sizeof buffer);
    bytes += got > 0 ? got : 0;
    wait_us(us);
    close(fd);
  }
  printf("{\"reads\":%d,\"opened\":%d,\"refused\":%d,\"bytes\":%ld}\n", count, opened, refused, bytes);
  return 0;
}

static int opens(int count, const char *path) {
  long *each = malloc(sizeof *each * (size_t)count), begun = now();
  for (int at = 0; at < count; at++) {
    long from = now();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    each[at] = now() - from;
  }
  long all = now() - begun;
  qsort(each, (size_t)count, sizeof *each, ascending);
  printf("{\"opens\":%d,\"median_ns\":%ld,\"mean_ns\":%ld}\n", count, each[count / 2], all / count);
  return 0;
}

static int calls(char *self, int count, const char *path) {
  int ran = 0;
  pid_t *all = malloc(sizeof *all * (size_t)count);
  for (int at = 0; at < count; at++) {
    all[at] = fork();
    if (all[at] != 0) continue;
    char tag[32], marker[64], file[4096];
    snprintf(tag, sizeof tag, "call-%d", at);
    snprintf(marker, sizeof marker, "COUNTERSIGN_CALL=%s", tag);
    snprintf(file, sizeof file, "%s-%s", path, tag);
    char *arguments[] = {self, "called", file, tag, 0}, *environment[] = {marker, 0};
    execve(self, arguments, environment);
    _exit(99);
  }
  for (int at = 0; at < count; at++) {
    int status = 0;
    waitpid(all[at], &status, 0);
    ran += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  printf("{\"calls\":%d,\"ran\":%d}\n", count, ran);
  return 0;
}

/* Opens a file of its own name, then becomes another program of the same environment. */
static int called(char *self, char *file, char *tag) {
  extern char **environ;
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  char *arguments[] = {self, "nothing", tag, 0};
  execve(self, arguments, environ);
  return 99;
}

static const char *shared_path;
static int opened_by_threads;
static pthread_barrier_t together;

static void *thread(void *unused) {
  (void)unused;
  pthread_barrier_wait(&together);
  int fd = open(shared_path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) __atomic_add_fetch(&opened_by_threads, 1, __ATOMIC_SEQ_CST);
  return 0;
}

static int threads(int count, const char *path) {
  pthread_t *all = malloc(sizeof *all * (size_t)count);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  shared_path = path;
  pthread_barrier_init(&together, 0, (unsigned)count);
  int made = 0;
  for (; made < count; made++)
    if (pthread_create(&all[made], &small, thread, 0) != 0) {
      printf("{\"threads\":%d}\n", made);
      return 3;
    }
  for (int at = 0; at < count; at++) pthread_join(all[at], 0);
  printf("{\"threads\":%d,\"opened\":%d}\n", count, opened_by_threads);
  return 0;
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  setvbuf(stdout, 0, _IOLBF, 4096);
  if (strcmp(what, "children") == 0 && count == 4) return children(words[0], atoi(words[2]), words[3]);
  if (strcmp(what, "live") == 0 && count == 4) return wait_us(atol(words[2])), 0;
  if (strcmp(what, "reads") == 0 && count == 5) return reads(atoi(words[2]), words[3], atol(words[4]));
  if (strcmp(what, "opens") == 0 && count == 4) return opens(atoi(words[2]), words[3]);
  if (strcmp(what, "calls") == 0 && count == 4) return calls(words[0], atoi(words[2]), words[3]);
  if (strcmp(what, "called") == 0 && count == 4) return called(words[0], words[2], words[3]);
  if (strcmp(what, "threads") == 0 && count == 4) return threads(atoi(words[2]), words[3]);
  if (strcmp(what, "nothing") == 0) return 0;
  fprintf(stderr, "usage: workload children|reads|opens|calls|threads|nothing ...\n");
  return 2;
}
