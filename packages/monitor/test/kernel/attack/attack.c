/* One hostile deed for each first argument. Prints what came of it, one line for each try: "leaked", "ok", or the name of an errno. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long got) {
  printf("%s %s\n", what, got >= 0 ? "ok" : strerrorname_np(errno));
  fflush(stdout);
}

/* Reads it, and says whether the secret came out. */
static void take(const char *what, const char *path) {
  char text[256] = {0};
  int fd = open(path, O_RDONLY);
  long got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (got > 0 && strstr(text, "SECRET") != NULL) printf("%s leaked\n", what);
  else say(what, got);
  fflush(stdout);
}

/* argv[2]: folder of the secret `key`. Links whose own names are no text. */
static void odd_names(char **argv) {
  symlink(argv[2], "\xff\xfe");
  char key[4096];
  snprintf(key, sizeof key, "%s/key", argv[2]);
  symlink(key, "\xfe");
  take("read", "\xfe");
  take("read-below", "\xff\xfe/key");
  say("link", linkat(AT_FDCWD, "\xff\xfe/key", AT_FDCWD, "mine", 0));
  take("linked", "mine");
  say("truncate", truncate("\xfe", 3));
  say("rename", rename("\xff\xfe/key", "moved"));
  take("renamed", "moved");
  say("unlink", unlink("\xff\xfe/other"));
  say("rmdir", rmdir("\xff\xfe/folder"));
  int fd = open("\xff\xfe/new", O_WRONLY | O_CREAT, 0600);
  say("create", fd);
  say("mknod", mknod("\xff\xfe/pipe", S_IFIFO | 0600, 0));
  say("symlink", symlink("/", "\xff\xfe/link"));
}

/* argv[2]: folder of the secret, a part of our workspace. What is above a forbidden file gets another name. */
static void move_above(char **argv) {
  say("rename", rename(argv[2], "other"));
  take("read", "other/key");
  mkdir("empty", 0700);
  say("exchange", syscall(SYS_renameat2, AT_FDCWD, argv[2], AT_FDCWD, "empty", 2));
  take("exchanged", "empty/key");
}

/* argv[2]: folder of the secret. What `self` means is another thing to whoever looks. */
static void self_links(char **argv) {
  char key[4096], path[128];
  snprintf(key, sizeof key, "%s/key", argv[2]);
  int fd = open(key, O_PATH);
  say("name-only", fd);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  take("reopen", path);
  symlink(path, "self");
  take("by-link", "self");
  snprintf(path, sizeof path, "/dev/fd/%d", fd);
  take("dev", path);
  symlink("/proc/self/cwd", "cwd");
  symlink("/proc/thread-self/root", "root");
  chdir(argv[2]);
  take("cwd", "../cwd/key");
  snprintf(path, sizeof path, "../root/%s", key);
  take("root", path);
  mkdir("../gone", 0700);
  chdir("../gone");
  symlink(key, "../odd");
  rmdir("../gone");
  take("from-gone", "../odd");
  chdir("..");
  say("link", linkat(fd, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
  take("linked", "linked");
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  say("link-self", linkat(AT_FDCWD, path, AT_FDCWD, "linked2", AT_SYMLINK_FOLLOW));
  take("linked-self", "linked2");
  say("truncate", truncate("self", 3));
}

/* argv[2]: folder of the secret, where `new` is not there, and is forbidden. */
static void nothing_there(char **argv) {
  char path[4096];
  const char *names[] = {"new", "./new", "nowhere/../new", "/new", "new/", "new/.", "folder/x"};
  for (int i = 0; i < 7; i++) {
    snprintf(path, sizeof path, "%s/%s", argv[2], names[i]);
    take(names[i], path);
  }
  take("mine", "nothing");
  take("mine-below", "nothing/at/all");
  snprintf(path, sizeof path, "%s/new", argv[2]);
  symlink(path, "dangling");
  symlink("dangling", "to-dangling");
  symlink(argv[2], "to-secret");
  take("dangling", "dangling");
  take("to-dangling", "to-dangling");
  take("below-link", "to-secret/new");
  int fd = open(argv[2], O_PATH);
  say("from-folder", openat(fd, "new", O_RDONLY));
  say("from-folder-here", openat(fd, "./new", O_RDONLY));
  chdir(argv[2]);
  take("here", "new");
  say("make", open("new", O_RDONLY | O_CREAT, 0600));
  say("make-by-link", open("../dangling", O_RDONLY | O_CREAT, 0600));
  say("cut", open("new", O_RDONLY | O_TRUNC));
  say("how", syscall(SYS_openat2, AT_FDCWD, "new", &(struct {uint64_t flags, mode, resolve;}){O_RDONLY, 0, 0}, 24));
  say("made", access("new", F_OK));
}

/* Reads it with openat2, and says whether the secret came out. */
static void take_within(const char *what, int folder, const char *name, uint64_t flags, uint64_t resolve) {
  struct {uint64_t flags, mode, resolve;} how = {flags, flags & O_CREAT ? 0600 : 0, resolve};
  char text[256] = {0};
  int fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
  long got = fd < 0 || flags & O_WRONLY ? fd : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (got > 0 && strstr(text, "SECRET") != NULL) printf("%s leaked\n", what);
  else say(what, got);
}

/* argv[2]: folder of the secret `key`, a part of our workspace. Within a root of its own a path begins there, and a link too. */
static void in_root(char **argv) {
  int secret = open(argv[2], O_PATH), work = open(".", O_PATH);
  mkdir("below", 0700);
  int below = open("below", O_PATH);
  symlink("/secret/key", "lead");
  symlink("/lead", "lead-to-lead");
  symlink("../../../secret/key", "above");
  symlink("/secret", "folder");
  symlink("/secret/new", "to-new");
  take_within("from-root", secret, "/key", O_RDONLY, 0x10);
  take_within("from-above", secret, "../../key", O_RDONLY, 0x10);
  take_within("by-link", work, "lead", O_RDONLY, 0x10);
  take_within("by-links", work, "/lead-to-lead", O_RDONLY, 0x10);
  take_within("by-link-above", work, "below/../../above", O_RDONLY, 0x10);
  take_within("below-link", AT_FDCWD, "folder/key", O_RDONLY, 0x10);
  take_within("beneath", work, "secret/../secret/key", O_RDONLY, 0x08);
  take_within("new", secret, "/new", O_RDONLY, 0x10);
  take_within("make", secret, "/new", O_WRONLY | O_CREAT, 0x10);
  take_within("make-by-link", work, "to-new", O_WRONLY | O_CREAT, 0x10);
  take_within("make-mine", work, "/mine", O_WRONLY | O_CREAT, 0x10);
  take_within("write", secret, "/key", O_WRONLY, 0x10);
  take_within("good", work, "/good", O_RDONLY, 0x10);
  take_within("nothing", below, "/../secret/key", O_RDONLY, 0x10);
  take_within("outside", work, argv[2], O_RDONLY, 0x08);
}

static void *makes_and_takes(void *link) {
  for (;;) {
    symlink("secret/key", link);
    usleep(20);
    unlinkat(AT_FDCWD, link, 0);
  }
  return NULL;
}

/* argv[2]: how often. A name that is now a link to the secret, now nothing: from the root, and from its folder. */
static void now_nothing(char **argv) {
  pthread_t thread;
  char text[64], path[4096];
  getcwd(path, sizeof path);
  strcat(path, "/flickers");
  pthread_create(&thread, NULL, makes_and_takes, "flickers");
  long leaks = 0, refused = 0, missing = 0, tries = atol(argv[2]);
  for (long i = 0; i < tries; i++) {
    int fd = open(i % 2 ? path : "flickers", O_RDONLY);
    if (fd < 0) errno == ENOENT ? missing++ : refused++;
    else leaks += read(fd, text, sizeof text) > 0;
    if (fd >= 0) close(fd);
  }
  printf("nothing %s refused %s leaks %ld\n", missing > 0 ? "some" : "none", refused > 0 ? "some" : "none", leaks);
}

static void datagrams(char **argv) {
  struct sockaddr_in to = {.sin_family = AF_UNSPEC, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = inet_addr("127.0.0.1")};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  say("sendto", sendto(fd, "SECRET", 6, 0, (void *)&to, sizeof to));
  struct iovec part = {"SECRET", 6};
  struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1};
  say("sendmsg", sendmsg(fd, &message, 0));
  struct mmsghdr many = {.msg_hdr = message};
  say("sendmmsg", sendmmsg(fd, &many, 1, 0));
  to.sin_family = AF_INET;
  say("plain", sendto(fd, "SECRET", 6, 0, (void *)&to, sizeof to));
}

static void families(void) {
  for (int family = 0; family < 46; family++) {
    for (int type = 1; type <= 6; type++) {
      int fd = socket(family, type, 0);
      if (fd >= 0) printf("%d %d\n", family, type), close(fd);
    }
  }
}

/* argv[2]: pid of whoever watches. */
static void warden(char **argv) {
  static const char *const NAMES[] = {"mem", "task/%s/mem", "environ", "task/%s/environ", "maps", "task/%s/maps", "smaps", "task/%s/smaps", "pagemap",
    "auxv", "syscall", "stack", "fd/0", "task/%s/fd/0", "root/etc/passwd", "task/%s/root/etc/passwd", "cwd/package.json", "map_files", "numa_maps",
    "clear_refs", "oom_score_adj", "comm", "task/%s/comm", "coredump_filter", "attr/current", "timerslack_ns", "personality", "fdinfo/0", "setgroups", "autogroup", "sched", NULL};
  for (int i = 0; NAMES[i] != NULL; i++) {
    char name[128], path[256];
    snprintf(name, sizeof name, NAMES[i], argv[2]);
    snprintf(path, sizeof path, "/proc/%s/%s", argv[2], name);
    int fd = open(path, O_RDONLY);
    say(NAMES[i], fd);
    if (fd >= 0) close(fd);
    fd = open(path, O_WRONLY);
    snprintf(name, sizeof name, "w %s", NAMES[i]);
    say(name, fd);
    if (fd >= 0) close(fd);
  }
  int folder = open("/proc", O_RDONLY | O_DIRECTORY);
  char path[256];
  snprintf(path, sizeof path, "%s/task/%s/mem", argv[2], argv[2]);
  say("openat", openat(folder, path, O_RDONLY));
  snprintf(path, sizeof path, "/proc/%s", argv[2]);
  int at = open(path, O_PATH);
  say("below", openat(at, "mem", O_RDONLY));
  symlink(path, "watching");
  say("through", open("watching/task/../mem", O_RDONLY));
  chdir(path);
  say("chdir", open("mem", O_RDONLY));
  say("cwd", open("fd/0", O_RDONLY));
}

/* argv[2]: names, with blanks between them; then folders of whoever watches, each by another spelling. */
static void warden_files(char **argv) {
  char names[1024];
  snprintf(names, sizeof names, "%s", argv[2]);
  for (char *name = strtok(names, " "); name != NULL; name = strtok(NULL, " ")) {
    for (char **folder = argv + 3; *folder != NULL; folder++) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", *folder, name);
      int fd = open(path, O_RDONLY);
      say(name, fd);
      if (fd >= 0) close(fd);
    }
  }
}

static void exec_odd(void) {
  mkfifo("pipe", 0700);
  char *const args[] = {"pipe", NULL};
  if (fork() == 0) { execve("pipe", args, environ); say("fifo", -1); _exit(0); }
  wait(NULL);
  int fd = open("leased", O_RDWR | O_CREAT, 0700);
  write(fd, "#!/bin/true\n", 12);
  signal(SIGIO, SIG_IGN);
  say("lease", fcntl(fd, F_SETLEASE, F_WRLCK));
  if (fork() == 0) { close(fd); char *const leased[] = {"leased", NULL}; alarm(20); execve("leased", leased, environ); say("leased", -1); _exit(0); }
  usleep(300000);
  say("other", open("/etc/hostname", O_RDONLY));
  say("unlease", fcntl(fd, F_SETLEASE, F_UNLCK));
  close(fd);
  wait(NULL);
}

/* Racing the path of link(2): [good] or [bad] under a new name, then read by that name. argv[2] good, argv[3] bad, argv[4] tries. */
static char shared[4096];
static volatile int over;
static const char *good, *bad;
static void *swapper(void *unused) {
  (void)unused;
  while (!over) { strcpy(shared, good); for (volatile int i = 0; i < 200; i++); strcpy(shared, bad); for (volatile int i = 0; i < 200; i++); }
  return NULL;
}
static void race_link(char **argv, int is_rename) {
  good = argv[2]; bad = argv[3];
  pthread_t thread;
  pthread_create(&thread, NULL, swapper, NULL);
  int made = 0, leaks = 0, refused = 0;
  for (int i = 0; i < atoi(argv[4]); i++) {
    unlink("new");
    long got = is_rename ? rename(shared, "new") : link(shared, "new");
    if (got < 0) { refused++; continue; }
    made++;
    char text[64] = {0};
    int fd = open("new", O_RDONLY);
    if (fd >= 0) { if (read(fd, text, 63) > 0 && strstr(text, "SECRET")) leaks++; close(fd); }
  }
  over = 1;
  printf("made %d refused %d leaks %d\n", made, refused, leaks);
}

/* argv[2]: how many threads open the secret at once, argv[3]. None may read it, none may wait for ever. */
static const char *wanted;
static int outcomes[3];
static void *opener(void *unused) {
  (void)unused;
  int fd = open(wanted, O_RDONLY);
  __atomic_fetch_add(&outcomes[fd >= 0 ? 0 : errno == EPERM ? 1 : 2], 1, __ATOMIC_SEQ_CST);
  return NULL;
}
static void flood(char **argv) {
  int count = atoi(argv[2]);
  wanted = argv[3];
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 32768);
  pthread_t *threads = calloc(count, sizeof *threads);
  int begun = 0;
  for (; begun < count; begun++) if (pthread_create(&threads[begun], &small, opener, NULL) != 0) break;
  for (int i = 0; i < begun; i++) pthread_join(threads[i], NULL);
  printf("flood opened %d refused %d else %d missing %d\n", outcomes[0], outcomes[1], outcomes[2], count - begun);
}

/* argv[2]: how many threads open the secret argv[3]; once that is said on our input, argv[4] and argv[5] are read, and argv[5] again after all. */
static void behind_flood(char **argv) {
  pthread_t *threads = calloc(atoi(argv[2]), sizeof *threads);
  char go;
  wanted = argv[3];
  for (int i = 0; i < atoi(argv[2]); i++) pthread_create(&threads[i], NULL, opener, NULL);
  if (read(0, &go, 1) != 1) return;
  take("link", argv[4]);
  take("good", argv[5]);
  for (int i = 0; i < atoi(argv[2]); i++) pthread_join(threads[i], NULL);
  printf("flood opened %d refused %d else %d\n", outcomes[0], outcomes[1], outcomes[2]);
  take("good", argv[5]);
}

/* argv[2]: pid of a process outside of the tree, argv[3]: its secret's path. */
static void strangers(char **argv) {
  pid_t other = atoi(argv[2]);
  say("attach", ptrace(PTRACE_ATTACH, other, 0, 0));
  say("seize", ptrace(PTRACE_SEIZE, other, 0, 0));
  char path[64], byte = 0;
  snprintf(path, sizeof path, "/proc/%d/mem", other);
  say("mem", open(path, O_RDWR));
  struct iovec ours = {&byte, 1}, theirs = {(void *)0x400000, 1};
  say("writev", process_vm_writev(other, &ours, 1, &theirs, 1, 0));
  say("readv", process_vm_readv(other, &ours, 1, &theirs, 1, 0));
  snprintf(path, sizeof path, "/proc/%d/environ", other);
  int handle = syscall(SYS_pidfd_open, other, 0);
  say("getfd", syscall(SYS_pidfd_getfd, handle, 0, 0));
}

static void foreign(void) {
  pid_t child = fork();
  if (child == 0) {
    long got;
    /* getpid of the 32-bit interface. */
    __asm__ volatile("int $0x80" : "=a"(got) : "a"(20) : "memory");
    printf("int80 %ld\n", got);
    fflush(stdout);
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  printf("int80 signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  say("x32", syscall(0x40000000 | SYS_getpid));
}

/* Memory that only its owner reads, and the kernel for it: a path in there that nobody can judge. argv[2]: the secret. */
static void hidden_memory(char **argv) {
  int fd = syscall(SYS_memfd_secret, 0);
  if (fd < 0) { say("memfd_secret", fd); return; }
  ftruncate(fd, 4096);
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) { say("mmap", -1); return; }
  strcpy(page, argv[2]);
  take("hidden-path", page);
  char *const args[] = {page, NULL};
  if (fork() == 0) { execve("/bin/echo", args, environ); say("hidden-argument", -1); _exit(0); }
  wait(NULL);
}

static void never(void) {
  say("io_uring_setup", syscall(SYS_io_uring_setup, 4, NULL));
  say("io_uring_enter", syscall(SYS_io_uring_enter, 0, 1, 0, 0, NULL, 0));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  say("clone3", syscall(SYS_clone3, NULL, 0));
  say("unshare", unshare(CLONE_NEWUSER));
  say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
  say("TIOCSTI", ioctl(0, TIOCSTI, "y"));
  say("TCXONC", ioctl(0, TCXONC, TCOOFF));
  int discipline = 0;
  say("TIOCSETD", ioctl(0, TIOCSETD, &discipline));
  struct btrfs_ioctl_vol_args volume = {.fd = 0, .name = "copy"};
  say("BTRFS_IOC_SNAP_CREATE", ioctl(0, BTRFS_IOC_SNAP_CREATE, &volume));
  struct btrfs_ioctl_vol_args_v2 volume2 = {.fd = 0, .name = "copy"};
  say("BTRFS_IOC_SNAP_CREATE_V2", ioctl(0, BTRFS_IOC_SNAP_CREATE_V2, &volume2));
  say("BTRFS_IOC_SNAP_DESTROY", ioctl(0, BTRFS_IOC_SNAP_DESTROY, &volume));
  say("BTRFS_IOC_SNAP_DESTROY_V2", ioctl(0, BTRFS_IOC_SNAP_DESTROY_V2, &volume2));
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  say("clock_settime", clock_settime(CLOCK_REALTIME, &time));
  struct timeval now = {time.tv_sec, 0};
  say("settimeofday", settimeofday(&now, NULL));
  say("sctp", socket(AF_INET, SOCK_SEQPACKET, 0));
  say("sctp6", socket(AF_INET6, SOCK_SEQPACKET, 0));
}

static void bound(const char *what, const char *name, size_t length) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, name, length < sizeof address.sun_path ? length : sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  say(what, bind(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + length));
  close(fd);
}

/* argv[2]: folder of the secret. A socket that is given a name is a file that is made. */
static void sockets(char **argv) {
  char name[4096];
  int length = snprintf(name, sizeof name, "%s/new", argv[2]);
  bound("bind", name, length + 1);
  bound("bind-no-end", name, length);
  symlink(argv[2], "via");
  bound("bind-by-link", "via/new", 8);
  bound("bind-self", "/proc/self/cwd/via/new", 23);
  int here = open(".", O_RDONLY | O_DIRECTORY);
  say("chdir", chdir(argv[2]));
  bound("bind-here", "new", 4);
  struct stat made;
  say("made", stat("new", &made));
  fchdir(here);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  say("bind-nowhere", bind(fd, (void *)8, 20));
  bound("bind-mine", "mine", 5);
  bound("bind-again", "mine", 5);
  bound("bind-abstract", "\0/countersign-test", 18);
  bound("bind-unnamed", "", 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  say("bind-port", bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&any, sizeof any));
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const char *deed = argv[1];
  if (!strcmp(deed, "odd-names")) odd_names(argv);
  else if (!strcmp(deed, "move-above")) move_above(argv);
  else if (!strcmp(deed, "self-links")) self_links(argv);
  else if (!strcmp(deed, "nothing-there")) nothing_there(argv);
  else if (!strcmp(deed, "in-root")) in_root(argv);
  else if (!strcmp(deed, "now-nothing")) now_nothing(argv);
  else if (!strcmp(deed, "datagrams")) datagrams(argv);
  else if (!strcmp(deed, "families")) families();
  else if (!strcmp(deed, "warden")) warden(argv);
  else if (!strcmp(deed, "warden-files")) warden_files(argv);
  else if (!strcmp(deed, "exec-odd")) exec_odd();
  else if (!strcmp(deed, "race-link")) race_link(argv, 0);
  else if (!strcmp(deed, "race-rename")) race_link(argv, 1);
  else if (!strcmp(deed, "flood")) flood(argv);
  else if (!strcmp(deed, "behind-flood")) behind_flood(argv);
  else if (!strcmp(deed, "strangers")) strangers(argv);
  else if (!strcmp(deed, "foreign")) foreign();
  else if (!strcmp(deed, "hidden-memory")) hidden_memory(argv);
  else if (!strcmp(deed, "sockets")) sockets(argv);
  else if (!strcmp(deed, "never")) never();
  else return 2;
  return 0;
}
