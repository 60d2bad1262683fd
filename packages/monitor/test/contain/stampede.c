/*
 * stampede MODE COUNT: processes that start others in every way there is, until they are ended or 20 seconds went by.
 *
 * Hardest to stop are chains, in which a process starts its successor and ends: whoever looks finds it gone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIFE_SECONDS 20
#define STACK_BYTES 65536
extern char **environ;
static char *self;
static time_t end;

static void nap(long us) {
  struct timespec pause = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&pause, 0);
}

static int over(void) { return time(0) > end; }

/* The root lives on, or the whole would be over. */
static int linger(void) {
  while (!over()) {
    while (waitpid(-1, 0, WNOHANG) > 0) {}
    nap(5000);
  }
  return 0;
}

/* All begin at once, when the last is there. */
static void each(int count, void (*work)(void)) {
  int gate[2];
  char byte;
  if (pipe(gate) != 0) _exit(3);
  for (int one = 0; one < count; one++)
    if (fork() == 0) {
      close(gate[1]);
      if (read(gate[0], &byte, 1) == 0) work();
      _exit(0);
    }
  close(gate[0]);
  close(gate[1]);
}

/* A daemon starts a daemon. */
static void twice(void) {
  while (!over()) {
    nap(2000);
    if (fork() != 0) _exit(0);
    setsid();
    if (fork() != 0) _exit(0);
  }
}

/* Brothers instead of children: of whoever started the root, in the end. */
static void siblings(void) {
  while (!over()) {
    nap(2000);
    if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) != 0) _exit(0);
  }
}

static int sharing(void *unused) {
  (void)unused;
  nap(2000);
  char *stack = malloc(STACK_BYTES);
  if (stack != 0 && !over()) clone(sharing, stack + STACK_BYTES, CLONE_VM | SIGCHLD, 0);
  _exit(0);
}

static void shared(void) { sharing(0); }

static void vforks(void) {
  while (!over()) {
    if (vfork() == 0) {
      execl(self, self, "nap", "1", (char *)0);
      _exit(1);
    }
    while (waitpid(-1, 0, WNOHANG) > 0) {}
  }
}

static void spawns(void) {
  posix_spawnattr_t with;
  posix_spawnattr_init(&with);
  posix_spawnattr_setflags(&with, POSIX_SPAWN_SETSID);
  char *words[] = {self, "nap", "1", 0};
  while (!over()) {
    pid_t pid;
    posix_spawn(&pid, self, 0, &with, words, environ);
    while (waitpid(-1, 0, WNOHANG) > 0) {}
  }
}

static void *forks(void *unused) {
  (void)unused;
  while (!over()) {
    // Without the C library's locks, of which each fork of it takes all.
    pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
      nap(5000);
      _exit(0);
    }
    if (pid > 0) waitpid(pid, 0, 0);
  }
  return 0;
}

static int threads(int count) {
  pthread_attr_t with;
  pthread_attr_init(&with);
  pthread_attr_setstacksize(&with, STACK_BYTES);
  for (int one = 0; one < count; one++) {
    pthread_t thread;
    pthread_create(&thread, &with, forks, 0);
  }
  while (!over()) nap(5000);
  return 0;
}

static void another(int signal) {
  (void)signal;
  fork();
}

/* Every signal that can be kept off is, and one that lets it go on starts another. */
static void deaf(void) {
  for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
  struct sigaction handled = {.sa_handler = another};
  sigaction(SIGCONT, &handled, 0);
  while (!over()) nap(1000);
}

/* Each wakes the other one for ever. */
static void wakers(void) {
  pid_t parent = getpid(), child = fork();
  pid_t other = child == 0 ? parent : child;
  while (!over()) kill(other, SIGCONT);
}

static void nothing(int signal) { (void)signal; }

/* Wakes itself, by the clock. */
static void waking(void) {
  struct sigevent by = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
  struct itimerspec every = {{0, 1000000}, {0, 1000000}};
  timer_t timer;
  // A signal that nobody handles would stop the timer.
  signal(SIGCONT, nothing);
  timer_create(CLOCK_MONOTONIC, &by, &timer);
  timer_settime(timer, 0, &every, 0);
  while (!over()) nap(1000);
}

/* Each opens, for ever. */
static void opens(void) {
  while (!over()) {
    int file = open(self, O_RDONLY);
    if (file >= 0) close(file);
  }
}

/* A debugger, and what it lets go on each time it stops. */
static void traced(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    while (!over()) {
      raise(SIGTRAP);
      if (fork() == 0) _exit(0);
      while (waitpid(-1, 0, WNOHANG) > 0) {}
    }
    _exit(0);
  }
  int status;
  while (!over() && waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) ptrace(PTRACE_CONT, child, 0, 0);
}

/* Waits in the kernel until another program has begun. */
static int runs(char *program) {
  char *words[] = {program, 0};
  pid_t pid;
  if (posix_spawn(&pid, program, 0, 0, words, environ) != 0) return 1;
  waitpid(pid, 0, 0);
  return 0;
}

int main(int given, char **words) {
  if (given != 3) return 2;
  end = time(0) + LIFE_SECONDS;
  alarm(LIFE_SECONDS);
  self = words[0];
  const char *mode = words[1];
  int count = atoi(words[2]);
  if (strcmp(mode, "nap") == 0) return nap(2000), 0;
  if (strcmp(mode, "runs") == 0) return runs(words[2]);
  if (strcmp(mode, "threads") == 0) return threads(count);
  if (strcmp(mode, "execs") == 0 && count <= 0) {
    nap(1000);
    return execl(self, self, mode, "0", (char *)0), 1;
  }
  if (strcmp(mode, "execs") == 0) {
    for (int one = 0; one < count; one++)
      if (fork() == 0) return execl(self, self, mode, "0", (char *)0), 1;
    return linger();
  }
  struct {
    const char *mode;
    void (*work)(void);
  } modes[] = {{"twice", twice},   {"siblings", siblings}, {"shared", shared}, {"vforks", vforks}, {"spawns", spawns},
               {"deaf", deaf}, {"wakers", wakers}, {"waking", waking}, {"traced", traced}, {"opens", opens}};
  for (size_t one = 0; one < sizeof modes / sizeof *modes; one++)
    if (strcmp(mode, modes[one].mode) == 0) {
      each(count, modes[one].work);
      return linger();
    }
  return 2;
}
