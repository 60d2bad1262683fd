/* wedge MODE: processes that are hard to stop. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* A debugger that keeps every stop signal from what it traces. Prints the pid of that. */
static int tracer(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (;;) getppid();
  }
  int status;
  waitpid(child, &status, 0);
  ptrace(PTRACE_CONT, child, 0, 0);
  printf("%d\n", child);
  fflush(stdout);
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    int signal = WSTOPSIG(status);
    ptrace(PTRACE_CONT, child, 0, signal == SIGSTOP ? 0 : signal);
  }
  return 0;
}

/* A parent that waits in the kernel until its child begins another program, which it never does. */
static int vforks(void) {
  pid_t child = vfork();
  if (child == 0)
    for (;;) pause();
  return 0;
}

/* Two that wake each other for ever. */
static int wakers(void) {
  pid_t parent = getpid(), child = fork();
  pid_t other = child == 0 ? parent : child;
  for (;;) kill(other, SIGCONT);
}

int main(int count, char **given) {
  if (count != 2) return 2;
  if (strcmp(given[1], "tracer") == 0) return tracer();
  if (strcmp(given[1], "vfork") == 0) return vforks();
  if (strcmp(given[1], "wakers") == 0) return wakers();
  return 2;
}
