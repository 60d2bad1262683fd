/* What an agent does to a database that is not its own, argv[1]. One line for each try: "ok", or the name of an errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *what, long got) {
  printf("%s %s\n", what, got >= 0 ? "ok" : strerrorname_np(errno));
  fflush(stdout);
}

/* Nothing writes, maps, cuts, or copies to a file without a descriptor of it that can be written by. */
static void opens(const char *what, const char *path, int flags) {
  int fd = open(path, flags, 0600);
  say(what, fd);
  if (fd >= 0) close(fd);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const char *file = argv[1];
  char journal[4096], by_fd[64];
  snprintf(journal, sizeof journal, "%s-journal", file);
  opens("read", file, O_RDONLY);
  opens("read-write", file, O_RDWR);
  opens("write", file, O_WRONLY);
  opens("append", file, O_WRONLY | O_APPEND);
  opens("empty", file, O_WRONLY | O_TRUNC);
  opens("empty-rw", file, O_RDWR | O_CREAT | O_TRUNC);
  opens("empty-read", file, O_RDONLY | O_TRUNC);
  say("creat", creat(file, 0600));
  struct open_how how = {.flags = O_RDWR | O_TRUNC};
  say("openat2", syscall(SYS_openat2, AT_FDCWD, file, &how, sizeof how));
  say("truncate", truncate(file, 1));
  int name = open(file, O_PATH);
  snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", name);
  opens("by-descriptor", by_fd, O_RDWR | O_TRUNC);
  say("link", link(file, "mine"));
  say("link-follow", linkat(AT_FDCWD, by_fd, AT_FDCWD, "mine", AT_SYMLINK_FOLLOW));
  say("link-itself", linkat(name, "", AT_FDCWD, "mine", AT_EMPTY_PATH));
  opens("mine", "mine", O_RDWR);
  say("journal-link", symlink("/dev/null", journal));
  say("journal-pipe", mknod(journal, S_IFIFO | 0600, 0));
  int other = open("other", O_RDWR | O_CREAT, 0600);
  say("journal-hard", link("other", journal));
  say("replace", rename("other", file));
  say("exchange", syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, file, 2));
  say("away", rename(file, "mine"));
  say("unlink", unlink(file));
  say("mount", mount("other", file, NULL, MS_BIND, NULL));
  say("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS));
  say("mount-namespace", unshare(CLONE_NEWNS));
  say("open-tree", syscall(SYS_open_tree, AT_FDCWD, file, 0));
  close(other);
  return 0;
}
