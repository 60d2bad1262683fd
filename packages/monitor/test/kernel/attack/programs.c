/* Runs what argv[1] is, in every way but its own name. Each try is a process of its own: it prints the name of an errno, or "leaked". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* By path; without one by the descriptor itself. */
static void run(const char *what, int fd, const char *path) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    char *const args[] = {(char *)what, (char *)what, NULL};
    if (path == NULL) syscall(SYS_execveat, fd, "", args, environ, AT_EMPTY_PATH);
    else if (fd >= 0) syscall(SYS_execveat, fd, path, args, environ, 0);
    else execve(path, args, environ);
    printf("%s %s\n", what, strerrorname_np(errno));
    fflush(stdout);
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) printf("%s signal %d\n", what, WTERMSIG(status));
  else if (WEXITSTATUS(status) != 0) printf("%s exit %d\n", what, WEXITSTATUS(status));
}

static void script(const char *name, const char *interpreter) {
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  dprintf(fd, "#!%s\n", interpreter);
  close(fd);
}

/* `leaked` is what the program prints of its arguments. */
static const char *with_argument(const char *interpreter) {
  static char line[4096];
  snprintf(line, sizeof line, "%s leaked", interpreter);
  return line;
}

static const char *self_fd(int fd) {
  static char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return path;
}

static int in_memory(const char *interpreter) {
  int fd = memfd_create("script", 0);
  dprintf(fd, "#!%s leaked\n", interpreter);
  return fd;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const char *banned = argv[1];
  char line[4096];
  run("plain", -1, banned);
  script("first", with_argument(banned));
  run("script", -1, "first");
  script("second", "./first");
  run("of-script", -1, "second");
  script("third", "second");
  mkdir("below", 0700);
  run("relative", -1, "./third");
  symlink(banned, "\xff");
  script("odd", with_argument("./\xff"));
  run("odd-name", -1, "odd");
  snprintf(line, sizeof line, "/usr/bin/env -S %s leaked", banned);
  script("env", line);
  run("env", -1, "env");
  int folder = open(".", O_RDONLY | O_DIRECTORY);
  chdir("below");
  run("from-folder", folder, "first");
  fchdir(folder);
  int fd = open("first", O_RDONLY);
  run("descriptor", fd, NULL);
  run("self-fd", -1, self_fd(fd));
  snprintf(line, sizeof line, "/dev/fd/%d", fd);
  run("dev-fd", -1, line);
  /* The first descriptors of whoever watches are no files: what `self` means to it must not count. */
  for (int other = 0; other < 24; other++) {
    if (other > 2 && other != fd && other != folder) dup2(fd, other);
  }
  symlink(self_fd(20), "link");
  run("link-to-self", -1, "link");
  script("by-self", self_fd(20));
  run("of-self", -1, "by-self");
  unlink("first");
  run("deleted", -1, self_fd(20));
  run("deleted-link", -1, "link");
  int memory = in_memory(banned);
  run("memory", memory, NULL);
  run("memory-self", -1, self_fd(memory));
  script("of-memory", self_fd(memory));
  run("of-memory", -1, "of-memory");
  int name_only = open(banned, O_PATH);
  run("name-only", name_only, NULL);
  script("of-name-only", with_argument(self_fd(name_only)));
  run("of-name-only", -1, "of-name-only");
  /* The kernel waits until the lease is given back; whoever judges does not. */
  script("leased", with_argument(banned));
  fd = open("leased", O_RDONLY);
  signal(SIGIO, SIG_IGN);
  if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) return 3;
  pid_t giving_back = fork();
  if (giving_back == 0) {
    usleep(500000);
    fcntl(fd, F_SETLEASE, F_UNLCK);
    _exit(0);
  }
  close(fd);
  run("leased", -1, "leased");
  waitpid(giving_back, NULL, 0);
  return 0;
}
