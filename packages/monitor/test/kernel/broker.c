/* What a hostile program does to whoever opens files for it; and what an ordinary one may expect. Prints what it got, a line each. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char shared_path[4096];
static volatile struct open_how shared_how;
static const char *first, *second;
static atomic_int is_over;

/* Whoever has the secret in its hands counts as a leak: its content begins with SECRET. */
static int is_secret(int fd) {
  char text[8] = {0};
  return pread(fd, text, 6, 0) == 6 && memcmp(text, "SECRET", 6) == 0;
}

static void *swap_paths(void *unused) {
  (void)unused;
  while (!is_over) {
    strcpy(shared_path, first);
    strcpy(shared_path, second);
  }
  return NULL;
}

static void *swap_links(void *unused) {
  (void)unused;
  char made[4200];
  snprintf(made, sizeof made, "%s.new", shared_path);
  while (!is_over) {
    symlink(first, made);
    rename(made, shared_path);
    symlink(second, made);
    rename(made, shared_path);
  }
  return NULL;
}

/* The folder a path goes up from is moved to another one. */
static void *move_folder(void *unused) {
  (void)unused;
  while (!is_over) {
    rename(first, second);
    rename(second, first);
  }
  return NULL;
}

static atomic_int shared_fd;
/* The descriptor a path begins at is another folder by now. */
static void *swap_descriptors(void *unused) {
  (void)unused;
  int good = open(first, O_PATH | O_DIRECTORY), bad = open(second, O_PATH | O_DIRECTORY);
  while (!is_over) {
    dup2(good, shared_fd);
    dup2(bad, shared_fd);
  }
  return NULL;
}

static void *swap_cwd(void *unused) {
  (void)unused;
  while (!is_over) {
    if (chdir(first) != 0 || chdir(second) != 0) continue;
  }
  return NULL;
}

static void *swap_how(void *unused) {
  (void)unused;
  while (!is_over) {
    shared_how.flags = O_PATH;
    shared_how.flags = O_RDONLY;
  }
  return NULL;
}

/* race KIND TRIES FIRST SECOND [PATH]: the other thread changes what the path means, this one opens. */
static int race(int argc, char **argv) {
  const char *kind = argv[2];
  int tries = atoi(argv[3]);
  first = argv[4];
  second = argv[5];
  if (argc > 6 && argv[6][0] != 0) strcpy(shared_path, argv[6]);
  void *(*swap)(void *) = swap_paths;
  if (strcmp(kind, "links") == 0) swap = swap_links;
  if (strcmp(kind, "parents") == 0) swap = move_folder;
  if (strcmp(kind, "descriptors") == 0) swap = swap_descriptors;
  if (strcmp(kind, "cwd") == 0) swap = swap_cwd;
  if (strcmp(kind, "how") == 0) swap = swap_how;
  shared_fd = open(argv[4], O_PATH | O_DIRECTORY);
  pthread_t other;
  pthread_create(&other, NULL, swap, NULL);
  int leaks = 0, opened = 0, refused = 0, failed = 0;
  for (int i = 0; i < tries; i++) {
    int fd;
    if (strcmp(kind, "descriptors") == 0) fd = openat(shared_fd, "file", O_RDONLY);
    else if (strcmp(kind, "parents") == 0) fd = openat(shared_fd, "../file", O_RDONLY);
    else if (strcmp(kind, "cwd") == 0) fd = open("file", O_RDONLY);
    else if (strcmp(kind, "how") == 0) fd = syscall(SYS_openat2, AT_FDCWD, second, (void *)&shared_how, sizeof shared_how);
    else if (strcmp(kind, "openat2") == 0) {
      struct open_how how = {.flags = O_RDONLY};
      fd = syscall(SYS_openat2, AT_FDCWD, shared_path, &how, sizeof how);
    } else if (strcmp(kind, "hardlinks") == 0) {
      fd = -1;
      if (link(shared_path, argv[6 + 1]) == 0) {
        fd = open(argv[6 + 1], O_RDONLY);
        unlink(argv[6 + 1]);
      }
    } else if (strcmp(kind, "renames") == 0) {
      fd = -1;
      if (rename(shared_path, argv[6 + 1]) == 0) {
        fd = open(argv[6 + 1], O_RDONLY);
        if (fd < 0 || is_secret(fd)) rename(argv[6 + 1], second);
        else rename(argv[6 + 1], first);
      }
    } else if (strcmp(kind, "writes") == 0) fd = open(shared_path, O_RDWR | O_CREAT, 0600);
    else if (strcmp(kind, "deletes") == 0) {
      close(open(first, O_WRONLY | O_CREAT, 0600));
      fd = unlink(shared_path) == 0 ? open("/dev/null", O_RDONLY) : -1;
      int error = errno;
      if (access(second, F_OK) != 0) leaks++;
      errno = error;
    } else fd = open(shared_path, O_RDONLY);
    if (fd >= 0) {
      opened++;
      leaks += is_secret(fd);
      close(fd);
    } else if (errno == EPERM) refused++;
    else failed++;
  }
  is_over = 1;
  pthread_join(other, NULL);
  printf("%d leaks %d opened %d refused %d failed %d\n", tries, leaks, opened, refused, failed);
  return 0;
}

/* open FLAGS MODE PATH...: the error, or its content and how it is open. */
static int opens(int argc, char **argv) {
  int flags = strtol(argv[2], NULL, 0), mode = strtol(argv[3], NULL, 8);
  for (int i = 4; i < argc; i++) {
    errno = 0;
    int fd = open(argv[i], flags, mode);
    if (fd < 0) {
      printf("%d\n", errno);
      continue;
    }
    struct stat status;
    fstat(fd, &status);
    printf("0 %o %o fd%o\n", fcntl(fd, F_GETFL) & ~(0100000 | O_NOFOLLOW), status.st_mode, fcntl(fd, F_GETFD));
    close(fd);
  }
  return 0;
}

/* openat2 FLAGS MODE RESOLVE SIZE FOLDER PATH */
static int opens2(int argc, char **argv) {
  (void)argc;
  char bytes[8192] = {0};
  struct open_how *how = (struct open_how *)bytes;
  how->flags = strtoull(argv[2], NULL, 0);
  how->mode = strtoull(argv[3], NULL, 8);
  how->resolve = strtoull(argv[4], NULL, 0);
  size_t size = strtoul(argv[5], NULL, 0);
  if (size > 24 && size % 8 == 1) bytes[24] = 1;
  int folder = strcmp(argv[6], "-") == 0 ? AT_FDCWD : open(argv[6], O_PATH | O_DIRECTORY);
  int fd = syscall(SYS_openat2, folder, argv[7], how, size);
  char text[32] = {0};
  if (fd >= 0 && pread(fd, text, sizeof text - 1, 0) < 0) strcpy(text, "unreadable");
  if (fd < 0) printf("%d\n", errno);
  else printf("0 %s\n", text);
  return 0;
}

/* many COUNT PATH: opens and closes, then says how many descriptors it has. */
static int many(int argc, char **argv) {
  (void)argc;
  int opened = 0;
  for (int i = 0; i < atoi(argv[2]); i++) {
    int fd = open(argv[3], O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    opened++;
    close(fd);
  }
  printf("%d\n", opened);
  return 0;
}

static int by_size(const void *one, const void *other) {
  long a = *(const long *)one, b = *(const long *)other;
  return (a > b) - (a < b);
}

/* timed COUNT PATH: nanoseconds of opening and closing it, the median. */
static int timed(char **argv) {
  int count = atoi(argv[2]);
  long *took = calloc(count, sizeof *took);
  for (int i = 0; i < count; i++) {
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int fd = open(argv[3], O_RDONLY | O_CLOEXEC);
    close(fd);
    clock_gettime(CLOCK_MONOTONIC, &after);
    took[i] = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
    if (fd < 0) return 1;
  }
  qsort(took, count, sizeof *took, by_size);
  printf("%ld\n", took[count / 2]);
  return 0;
}

/* full: its own table has no room. */
static int full(int argc, char **argv) {
  (void)argc;
  struct rlimit limit = {8, 8};
  setrlimit(RLIMIT_NOFILE, &limit);
  int fd = 0, last = 0;
  while ((fd = open(argv[2], O_RDONLY)) >= 0) last = fd;
  int error = errno;
  close(last);
  printf("%d %d\n", error, open(argv[2], O_RDONLY) == last);
  return 0;
}

/* memfd: what has no name is opened by its descriptor. */
static int memfd(void) {
  int fd = memfd_create("made here", 0);
  if (write(fd, "content", 7) != 7) return 1;
  char path[64], text[16] = {0};
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int again = open(path, O_RDONLY);
  printf("%d %s\n", (int)pread(again, text, 7, 0), text);
  return 0;
}

/* deleted PATH: by its descriptor, after its name is gone. */
static int deleted(char **argv) {
  int fd = open(argv[2], O_RDONLY);
  unlink(argv[2]);
  char path[64], text[16] = {0};
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int again = open(path, O_RDONLY);
  if (again < 0) printf("%d\n", errno);
  else printf("0 %d %s\n", (int)pread(again, text, 7, 0), text);
  return 0;
}

/* deep COUNT: folder in folder, longer than any path; a file at the end. */
static int deep(char **argv) {
  char name[201];
  memset(name, 'd', 200);
  name[200] = 0;
  for (int i = 0; i < atoi(argv[2]); i++) {
    mkdir(name, 0700);
    if (chdir(name) != 0) return 1;
  }
  int fd = open("file", O_RDWR | O_CREAT, 0600);
  printf("%d\n", fd < 0 ? errno : 0);
  return 0;
}

static int list(char **argv) {
  DIR *folder = opendir(argv[2]);
  int count = 0;
  while (folder != NULL && readdir(folder) != NULL) count++;
  printf("%d\n", count);
  return 0;
}

static void *open_first(void *path) {
  int fd = open(path, O_RDONLY);
  printf("opened %d\n", fd >= 0);
  fflush(stdout);
  return NULL;
}

/* lease PATH: a file that is leased by another process of ours. */
static int lease(char **argv) {
  int ready[2];
  if (pipe(ready) != 0) return 1;
  pid_t child = fork();
  if (child == 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = open(argv[2], O_RDWR);
    if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0 || write(ready[1], "x", 1) != 1) _exit(1);
    // Blocked before: it waits for us, whenever it comes.
    sigwaitinfo(&set, NULL);
    fcntl(fd, F_SETLEASE, F_UNLCK);
    _exit(0);
  }
  char byte;
  if (read(ready[0], &byte, 1) != 1) return 1;
  printf("opened %d\n", open(argv[2], O_RDONLY) >= 0);
  waitpid(child, NULL, 0);
  return 0;
}

/* threads COUNT PATH: all open at once. */
static int threads(char **argv) {
  int count = atoi(argv[2]);
  pthread_t *all = calloc(count, sizeof *all);
  for (int i = 0; i < count; i++) pthread_create(&all[i], NULL, open_first, argv[3]);
  for (int i = 0; i < count; i++) pthread_join(all[i], NULL);
  return 0;
}

/* umask MASK MODE PATH: made with these, what does it come to? */
static int masked(char **argv) {
  umask(strtol(argv[2], NULL, 8));
  int fd = open(argv[4], O_WRONLY | O_CREAT | O_EXCL, strtol(argv[3], NULL, 8));
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) printf("%d\n", errno);
  else printf("%o\n", status.st_mode & 07777);
  return 0;
}

/* drop UID PATH...: after it gave up its rights. */
static int drop(int argc, char **argv) {
  int before = open(argv[3], O_RDONLY);
  if (setresuid(atoi(argv[2]), atoi(argv[2]), atoi(argv[2])) != 0) return 1;
  printf("%d", before >= 0);
  for (int i = 3; i < argc; i++) printf(" %d", open(argv[i], O_RDONLY) >= 0 ? 0 : errno);
  printf("\n");
  return 0;
}

static void said(long result) { printf("%d\n", result == 0 ? 0 : errno); }

/* change: names are taken away, moved and added in a folder of files; each time what it came to. */
static int change(void) {
  char path[64];
  said(unlink("file"));
  said(unlink("file"));
  said(unlink("dir"));
  said(unlink("link/"));
  said(unlink("dirlink/"));
  said(unlink("dangling"));
  said(unlink("no/file"));
  said(unlink("closed/x"));
  said(unlink(""));
  said(unlink("/"));
  said(unlink("."));
  said(unlink("loop/x"));
  said(rmdir("dir"));
  said(rmdir("dirlink"));
  said(rmdir("dirlink/"));
  said(rmdir("."));
  said(rmdir("dir/.."));
  said(rmdir("closed"));
  said(unlinkat(AT_FDCWD, "dir/below/file", 0));
  said(unlinkat(99, "dir", AT_REMOVEDIR));
  said(unlinkat(AT_FDCWD, "dir/below", AT_REMOVEDIR));
  said(unlinkat(AT_FDCWD, "dir/below", 0x4000));
  said(rename("hard", "dir/moved"));
  said(rename("hard", "dir/moved"));
  said(rename("dir", "dir/in-itself"));
  said(rename("dir/moved", "dirlink"));
  said(rename("dirlink", "link2/"));
  said(rename("dirlink", ""));
  said(rename("closed", "dir/"));
  said(rename("dir", "folder/"));
  said(rename("folder", "dir"));
  said(syscall(SYS_renameat2, AT_FDCWD, "closed", AT_FDCWD, "dir", RENAME_NOREPLACE));
  said(syscall(SYS_renameat2, AT_FDCWD, "closed", AT_FDCWD, "dir", RENAME_EXCHANGE));
  said(syscall(SYS_renameat2, AT_FDCWD, "closed", AT_FDCWD, "dir", 0x800));
  said(link("closed", "closed2"));
  said(link("dir", "dir2"));
  said(link("pipe", "pipe2"));
  said(link("link2", "link3"));
  said(link("missing", "other"));
  said(linkat(AT_FDCWD, "comm", AT_FDCWD, "other", AT_SYMLINK_FOLLOW));
  said(linkat(AT_FDCWD, "chain5", AT_FDCWD, "chained", AT_SYMLINK_FOLLOW));
  said(linkat(AT_FDCWD, "", AT_FDCWD, "other", 0));
  int fd = open(".", O_TMPFILE | O_RDWR, 0600);
  said(write(fd, "made", 4) - 4);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  said(linkat(AT_FDCWD, path, AT_FDCWD, "from-fd", AT_SYMLINK_FOLLOW));
  said(linkat(fd, "", AT_FDCWD, "from-empty", AT_EMPTY_PATH));
  said(symlink("anything at all", "dir/new-link"));
  said(symlink("again", "dir/new-link"));
  said(symlink("", "empty"));
  said(symlinkat("x", 99, "relative"));
  said(symlink("x", "missing/link"));
  said(symlink("x", "slash/"));
  umask(027);
  said(mknod("node", S_IFREG | 0666, 0));
  said(mknod("node", S_IFREG | 0666, 0));
  said(mknod("fifo", S_IFIFO | 0666, 0));
  said(mknodat(AT_FDCWD, "socket", S_IFSOCK | 0666, 0));
  said(mknod("folder-no", S_IFDIR | 0777, 0));
  said(truncate("from-fd", 2));
  said(truncate("from-fd", 9));
  said(truncate("from-fd", -1));
  said(truncate("dir", 0));
  said(truncate("folder", 0));
  said(truncate("missing", 0));
  said(truncate("pipe", 0));
  said(truncate("loop", 0));
  return 0;
}

/* landlock: is there one? */
static int landlock(void) {
  errno = 0;
  long version = syscall(444, NULL, 0, 1);
  printf("%ld %d\n", version, errno);
  return 0;
}

/* self: what is ours under names that mean whoever asks. */
static int self(void) {
  char path[128], text[4096];
  static const char *names[] = {"/proc/self/comm", "/proc/thread-self/comm", "/proc/self/task/self"};
  for (int i = 0; i < 2; i++) {
    int fd = open(names[i], O_RDONLY);
    ssize_t got = read(fd, text, sizeof text - 1);
    text[got < 0 ? 0 : got] = 0;
    printf("%s", text);
  }
  int memory = open("/proc/self/mem", O_RDONLY);
  static const char mark[] = "in my memory";
  printf("%d\n", pread(memory, text, sizeof mark, (off_t)mark) == sizeof mark && memcmp(text, mark, sizeof mark) == 0);
  snprintf(path, sizeof path, "/proc/self/task/%d/maps", (int)syscall(SYS_gettid));
  int maps = open(path, O_RDONLY);
  ssize_t got = read(maps, text, sizeof text - 1);
  text[got < 0 ? 0 : got] = 0;
  printf("%d\n", strstr(text, "/broker") != NULL);
  return 0;
}

static int one(int argc, char **argv);

/* each ARGS... +++ ARGS...: each in a process of its own, after the other. */
static int each(int argc, char **argv) {
  for (int at = 2; at < argc;) {
    int end = at;
    while (end < argc && strcmp(argv[end], "+++") != 0) end++;
    argv[end] = NULL;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) exit(one(end - at + 1, argv + at - 1));
    waitpid(child, NULL, 0);
    at = end + 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  return one(argc, argv);
}

static int one(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "each") == 0) return each(argc, argv);
  if (strcmp(what, "race") == 0) return race(argc, argv);
  if (strcmp(what, "open") == 0) return opens(argc, argv);
  if (strcmp(what, "openat2") == 0) return opens2(argc, argv);
  if (strcmp(what, "many") == 0) return many(argc, argv);
  if (strcmp(what, "timed") == 0) return timed(argv);
  if (strcmp(what, "full") == 0) return full(argc, argv);
  if (strcmp(what, "memfd") == 0) return memfd();
  if (strcmp(what, "deleted") == 0) return deleted(argv);
  if (strcmp(what, "deep") == 0) return deep(argv);
  if (strcmp(what, "list") == 0) return list(argv);
  if (strcmp(what, "lease") == 0) return lease(argv);
  if (strcmp(what, "threads") == 0) return threads(argv);
  if (strcmp(what, "umask") == 0) return masked(argv);
  if (strcmp(what, "drop") == 0) return drop(argc, argv);
  if (strcmp(what, "landlock") == 0) return landlock();
  if (strcmp(what, "change") == 0) return change();
  if (strcmp(what, "self") == 0) return self();
  return 2;
}
