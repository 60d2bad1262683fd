/*
 * Tries to signal, steer and look into another process, by every call there is for it. argv: its pid, one of its threads, its group.
 * Prints one line each: what was tried, and the name of the error, or "done". What could end the target is a signal that does nothing
 * where it arrives (SIGWINCH, SIGURG).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
  fflush(stdout);
}

static long info(int call, long a, long b, int number) {
  siginfo_t filled;
  memset(&filled, 0, sizeof filled);
  filled.si_code = SI_QUEUE;
  filled.si_signo = number;
  filled.si_pid = getpid();
  if (call == SYS_rt_sigqueueinfo) return syscall(call, a, number, &filled);
  return syscall(call, a, b, number, &filled);
}

static void at(int pid, int thread, int group) {
  int quiet = SIGURG;
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  struct sched_param idle = {0};
  cpu_set_t all;
  memset(&all, 0xff, sizeof all);
  char byte = 0;
  struct iovec here = {&byte, 1}, there = {(void *)&byte, 1};

  say("kill 0", kill(pid, 0));
  say("kill", kill(pid, quiet));
  say("kill thread", kill(thread, quiet));
  say("kill group", kill(-group, quiet));
  say("kill own group", kill(0, quiet));
  say("kill all", kill(-1, quiet));
  say("tkill", syscall(SYS_tkill, thread, quiet));
  say("tgkill", syscall(SYS_tgkill, pid, thread, quiet));
  say("sigqueue", info(SYS_rt_sigqueueinfo, pid, 0, quiet));
  say("sigqueue thread", info(SYS_rt_tgsigqueueinfo, pid, thread, quiet));

  int pipes[2];
  if (pipe(pipes) != 0) exit(3);
  struct f_owner_ex owner = {F_OWNER_PID, pid};
  say("F_SETOWN", fcntl(pipes[0], F_SETOWN, pid));
  say("F_SETOWN thread", fcntl(pipes[0], F_SETOWN, thread));
  say("F_SETOWN group", fcntl(pipes[0], F_SETOWN, -group));
  say("F_SETOWN_EX", fcntl(pipes[0], F_SETOWN_EX, &owner));
  say("F_SETOWN self", fcntl(pipes[0], F_SETOWN, getpid()));
  say("F_SETSIG", fcntl(pipes[0], F_SETSIG, SIGURG));
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) exit(3);
  say("FIOSETOWN", ioctl(sockets[0], 0x8901, &pid));
  say("SIOCSPGRP", ioctl(sockets[0], 0x8902, &pid));

  say("pidfd_open", syscall(SYS_pidfd_open, pid, 0));
  char folder[64];
  snprintf(folder, sizeof folder, "/proc/%d", pid);
  int handle = open(folder, O_RDONLY | O_DIRECTORY);
  say("pidfd_send_signal folder", syscall(SYS_pidfd_send_signal, handle, quiet, NULL, 0));
  say("pidfd_getfd folder", syscall(SYS_pidfd_getfd, handle, 0, 0));
  /* Whoever made this pair of sockets is the warden. */
  int peer = -1;
  socklen_t length = sizeof peer;
  if (getsockopt(0, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &peer, &length) == 0) {
    say("pidfd_send_signal peer", syscall(SYS_pidfd_send_signal, peer, quiet, NULL, 0));
    say("pidfd_getfd peer", syscall(SYS_pidfd_getfd, peer, 0, 0));
  }

  say("prlimit read", prlimit(pid, RLIMIT_CORE, NULL, &limit));
  say("prlimit", prlimit(pid, RLIMIT_CORE, &limit, NULL));
  say("prlimit thread", prlimit(thread, RLIMIT_CORE, &limit, NULL));
  say("sched_setaffinity", sched_setaffinity(pid, sizeof all, &all));
  say("sched_setaffinity thread", sched_setaffinity(thread, sizeof all, &all));
  say("sched_setscheduler", sched_setscheduler(pid, SCHED_OTHER, &idle));
  say("sched_setparam", sched_setparam(pid, &idle));
  say("setpriority", setpriority(PRIO_PROCESS, (id_t)pid, 0));
  say("setpriority group", setpriority(PRIO_PGRP, 0, 0));
  say("setpriority user", setpriority(PRIO_USER, 0, 0));
  say("ioprio_set", syscall(SYS_ioprio_set, 1, pid, 0));

  say("ptrace attach", ptrace(PTRACE_ATTACH, pid, 0, 0));
  say("ptrace seize thread", ptrace(PTRACE_SEIZE, thread, 0, 0));
  say("ptrace me", ptrace(PTRACE_TRACEME, 0, 0, 0));
  say("process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0));
  say("process_vm_writev thread", process_vm_writev(thread, &here, 1, &there, 1, 0));
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_DUMMY};
  say("perf_event_open", syscall(SYS_perf_event_open, &event, pid, -1, -1, 0));
  say("perf_event_open all", syscall(SYS_perf_event_open, &event, -1, 0, -1, 0));
  say("setpgid", setpgid(0, group));
}

static void never(void) {
  say("unshare user", unshare(CLONE_NEWUSER));
  say("unshare mount", unshare(CLONE_NEWNS));
  say("mount", syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, 0));
  say("chroot", syscall(SYS_chroot, "/"));
  say("clone3", syscall(SYS_clone3, NULL, 0));
  say("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
  say("userfaultfd", syscall(SYS_userfaultfd, 1));
  say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
  say("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  say("bpf", syscall(SYS_bpf, 0, NULL, 0));
  say("mknod device", mknod("device", S_IFBLK | 0600, 0x801));
  say("mknod pipe", mknod("pipe", S_IFIFO | 0600, 0));
  say("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  say("sctp", socket(AF_INET, SOCK_STREAM, 132));
  say("dumpable off", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
  say("dumpable on", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
  say("PR_SET_MM", prctl(PR_SET_MM, PR_SET_MM_ARG_START, &errno, 0, 0));
  say("TIOCSTI", ioctl(0, 0x5412, "y"));
  say("seccomp listener", syscall(SYS_seccomp, 1, 8, &(struct { unsigned short n; void *f; }){1, &(struct { unsigned short c; unsigned char t, e; unsigned k; }){6, 0, 0, 0x7fff0000}}));
}

/* Members of the tree may do what debuggers do. */
static void inside(void) {
  int ready[2], status;
  static volatile char secret = 'a';
  if (pipe(ready) != 0) exit(3);
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    char byte;
    close(ready[1]);
    if (read(ready[0], &byte, 1) < 0) _exit(1);
    _exit(secret == 'b' ? 7 : 8);
  }
  close(ready[0]);
  while (getpgid(child) != child) usleep(100);
  char byte = 'b';
  struct iovec here = {&byte, 1}, there = {(void *)&secret, 1};
  say("inside write", process_vm_writev(child, &here, 1, &there, 1, 0));
  say("inside read", process_vm_readv(child, &here, 1, &there, 1, 0));
  say("inside attach", ptrace(PTRACE_ATTACH, child, 0, 0));
  waitpid(child, &status, __WALL);
  say("inside peek", ptrace(PTRACE_PEEKDATA, child, (void *)&secret, 0) == -1 && errno != 0 ? -1 : 0);
  say("inside detach", ptrace(PTRACE_DETACH, child, 0, 0));
  say("inside renice", setpriority(PRIO_PROCESS, (id_t)child, 1));
  say("inside stop group", kill(-child, SIGSTOP));
  waitpid(child, &status, WUNTRACED);
  say("inside continue", kill(child, SIGCONT));
  close(ready[1]);
  waitpid(child, &status, 0);
  printf("inside child: %d\n", WEXITSTATUS(status));
  child = fork();
  if (child == 0) {
    /* Its parent is a member. */
    _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : 1);
  }
  waitpid(child, &status, 0);
  printf("inside trace me: %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
  if (argc > 3) at(atoi(argv[1]), atoi(argv[2]), atoi(argv[3]));
  else if (argc > 1 && strcmp(argv[1], "inside") == 0) inside();
  else never();
  return 0;
}
