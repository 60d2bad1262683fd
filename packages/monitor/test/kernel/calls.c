/*
 * System calls made as no ordinary program makes them, for the tests of what the supervisor reads. `calls NAME ...` prints one line for
 * each call: what was tried, and 0 or the error number it came back with.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static void said(const char *what, long result) {
  printf("%s %d\n", what, result < 0 ? errno : 0);
  fflush(stdout);
}

static long open_at(const void *path) { return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0); }

/* Two pages, and a third that may not be touched. */
static char *pages(void) {
  char *at = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(at + 2 * PAGE, PAGE, PROT_NONE);
  return at;
}

/* A path of exactly so many bytes that leads to a file. */
static char *long_path(size_t bytes, const char *file) {
  char *path = malloc(bytes + 1);
  size_t fill = bytes - strlen(file);
  for (size_t at = 0; at < fill; at++) path[at] = at % 2 == 0 ? '/' : '.';
  if (fill % 2 == 1) path[fill - 1] = '/';
  strcpy(path + fill, file);
  return path;
}

static int unread(const char *file) {
  char *at = pages();
  said("null", open_at(0));
  said("low", open_at((void *)16));
  said("kernel", open_at((void *)0xffff888000000000));
  said("not-canonical", open_at((void *)0x0000800000001000));
  said("all-ones", open_at((void *)-1));
  said("no-access", open_at(at + 2 * PAGE));
  memset(at, '/', 2 * PAGE);
  said("no-end", open_at(at + 2 * PAGE - 100));
  char *across = at + PAGE - 5;
  strcpy(across, file);
  said("across", open_at(across));
  char *edge = at + 2 * PAGE - strlen(file) - 1;
  strcpy(edge, file);
  said("edge", open_at(edge));
  said("empty", open_at(""));
  said("4095", open_at(long_path(4095, file)));
  said("4096", open_at(long_path(4096, file)));
  said("8000", open_at(long_path(8000, file)));
  char name[] = "mapped-XXXXXX";
  int fd = mkstemp(name);
  if (ftruncate(fd, PAGE) < 0) return 1;
  char *mapped = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  strcpy(mapped, file);
  said("mapped", open_at(mapped));
  if (ftruncate(fd, 0) < 0) return 1;
  said("cut-short", open_at(mapped));
  return 0;
}

static char *plenty(size_t bytes) {
  char *text = malloc(bytes + 1);
  memset(text, 'x', bytes);
  text[bytes] = 0;
  return text;
}

/* In a child: what comes back of it, or 0 when the program ran. */
static void runs(const char *what, const char *program, char *const arguments[], char *const environment[]) {
  int channel[2];
  if (pipe2(channel, O_CLOEXEC) < 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    syscall(SYS_execve, program, arguments, environment);
    int error = errno;
    if (write(channel[1], &error, sizeof error) < 0) _exit(98);
    _exit(99);
  }
  close(channel[1]);
  int error = 0;
  if (read(channel[0], &error, sizeof error) < 0) exit(1);
  close(channel[0]);
  waitpid(child, 0, 0);
  printf("%s %d\n", what, error);
  fflush(stdout);
}

static int execs(void) {
  char **volatile nowhere = (char **)16;
  char *none[] = {0}, *one[] = {"true", 0}, *bad[] = {"true", (char *)16, 0};
  runs("null-arguments", "/usr/bin/true", 0, none);
  runs("no-arguments", "/usr/bin/true", none, none);
  runs("null-environment", "/usr/bin/true", one, 0);
  runs("bad-argument", "/usr/bin/true", bad, none);
  runs("bad-arguments", "/usr/bin/true", nowhere, none);
  runs("bad-variable", "/usr/bin/true", one, bad);
  runs("absent", "/usr/bin/there-is-no-such-program", one, none);
  runs("folder", "/usr/bin", one, none);
  char **many = calloc(100002, sizeof *many);
  many[0] = "many";
  for (int at = 1; at <= 100000; at++) many[at] = "a";
  runs("many", "/usr/bin/true", many, none);
  char *longest[] = {"longest", plenty(131071), 0};
  runs("longest", "/usr/bin/true", longest, none);
  char *too_long[] = {"too-long", plenty(131072), 0};
  runs("too-long", "/usr/bin/true", too_long, none);
  char *large[14] = {"large"};
  for (int at = 1; at < 13; at++) large[at] = plenty(131000);
  large[12] = "last";
  runs("large", "/usr/bin/true", large, none);
  char **hidden = calloc(60004, sizeof *hidden);
  hidden[0] = "/usr/bin/env";
  for (int at = 1; at <= 20000; at++) hidden[at] = "A=1";
  hidden[20001] = "uname";
  runs("hidden", "/usr/bin/env", hidden, none);
  char **behind = calloc(20002, sizeof *behind), *marked[] = {"marked", 0};
  for (int at = 0; at < 20000; at++) behind[at] = "FILLER=filler";
  behind[20000] = "COUNTERSIGN_CALL=call-behind";
  runs("marked", "/usr/bin/true", marked, behind);
  return 0;
}

static int memfd(char *self) {
  int from = open(self, O_RDONLY | O_CLOEXEC), to = memfd_create("hidden", 0);
  char buffer[65536];
  for (ssize_t got; (got = read(from, buffer, sizeof buffer)) > 0;)
    if (write(to, buffer, (size_t)got) != got) return 1;
  char *arguments[] = {"innocent", "nothing", 0}, *none[] = {0};
  said("execveat", syscall(SYS_execveat, to, "", arguments, none, AT_EMPTY_PATH));
  return 0;
}

static int files(void) {
  mkdir("folder", 0700);
  close(open("one", O_CREAT | O_WRONLY, 0600));
  close(open("two", O_CREAT | O_WRONLY, 0600));
  said("exchange", syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", RENAME_EXCHANGE));
  said("link", linkat(AT_FDCWD, "one", AT_FDCWD, "three", 0));
  if (symlink("one", "to-one") < 0) return 1;
  said("link-follow", linkat(AT_FDCWD, "to-one", AT_FDCWD, "four", AT_SYMLINK_FOLLOW));
  said("rmdir", unlinkat(AT_FDCWD, "folder", AT_REMOVEDIR));
  said("unlink", unlink("three"));
  said("truncate", truncate("two", 0));
  int nameless = open(".", O_TMPFILE | O_RDWR, 0600);
  said("tmpfile", nameless);
  said("named", linkat(nameless, "", AT_FDCWD, "five", AT_EMPTY_PATH));
  said("o-path", open("one", O_PATH));
  said("creat", creat("six", 0600));
  said("bytes", open("\xff\xfe", O_CREAT | O_WRONLY, 0600));
  return 0;
}

static int v4(int type, const char *address, int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, address, &at.sin_addr);
  int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
  int result = connect(fd, (struct sockaddr *)&at, sizeof at);
  close(fd);
  return result < 0 && errno == EINPROGRESS ? 0 : result;
}

static int sockets(void) {
  said("tcp", v4(SOCK_STREAM, "127.0.0.1", 9));
  said("udp", v4(SOCK_DGRAM, "127.0.0.1", 10));
  struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(11)};
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
  int six = socket(AF_INET6, SOCK_DGRAM, 0);
  said("mapped", connect(six, (struct sockaddr *)&mapped, sizeof mapped));
  said("short", connect(six, (struct sockaddr *)&mapped, 10));
  said("too-long", connect(six, (struct sockaddr *)&mapped, 4096));
  said("negative", connect(six, (struct sockaddr *)&mapped, (socklen_t)-1));
  struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
  said("unspecified", connect(six, &unspecified, sizeof unspecified));
  said("bad", connect(six, (struct sockaddr *)16, sizeof mapped));
  struct sockaddr_un relative = {.sun_family = AF_UNIX, .sun_path = "some.sock"};
  int local = socket(AF_UNIX, SOCK_STREAM, 0);
  said("unix", connect(local, (struct sockaddr *)&relative, sizeof relative));
  struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0abstract"};
  said("abstract", connect(local, (struct sockaddr *)&abstract, sizeof(sa_family_t) + 9));
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(12)};
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  int four = socket(AF_INET, SOCK_DGRAM, 0);
  said("sendto", sendto(four, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
  struct iovec one = {"x", 1};
  to.sin_port = htons(13);
  struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &one, .msg_iovlen = 1};
  said("sendmsg", sendmsg(four, &message, 0));
  struct sockaddr_in last = to;
  last.sin_port = htons(14);
  struct mmsghdr several[3] = {{.msg_hdr = message}, {.msg_hdr = message}, {.msg_hdr = message}};
  several[2].msg_hdr.msg_name = &last;
  said("sendmmsg", sendmmsg(four, several, 3, 0));
  message.msg_name = (void *)16;
  said("bad-name", sendmsg(four, &message, 0));
  said("bad-message", sendmsg(four, (struct msghdr *)16, 0));
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return 1;
  struct msghdr nameless = {.msg_iov = &one, .msg_iovlen = 1};
  said("nameless", sendmsg(pair[0], &nameless, 0));
  return 0;
}

/* A thread that is not the first becomes another program: it then has the number of the first. */
static void *becomes(void *program) {
  char *arguments[] = {program, "opens", "1", "/etc/hostname", 0}, *environment[] = {"COUNTERSIGN_CALL=call-after", 0};
  execve(program, arguments, environment);
  return 0;
}

static int from_thread(char *program) {
  pthread_t other;
  close(open("/etc/passwd", O_RDONLY));
  pthread_create(&other, 0, becomes, program);
  pause();
  return 0;
}

/* The first thread leaves, and the other goes on. */
static void *goes_on(void *path) {
  usleep(20000);
  said("other", open_at(path));
  _exit(0);
}

static int leaderless(char *path) {
  pthread_t other;
  pthread_create(&other, 0, goes_on, path);
  pthread_exit(0);
}

static void handled(int number) { (void)number; }

/* A signal with a handler comes every millisecond while it waits. */
static int interrupted(const char *path) {
  struct sigaction action = {.sa_handler = handled};
  sigaction(SIGUSR1, &action, 0);
  pid_t self = getpid(), child = fork();
  if (child == 0) {
    for (int at = 0; at < 200; at++) {
      usleep(1000);
      kill(self, SIGUSR1);
    }
    _exit(0);
  }
  said("held", open_at(path));
  waitpid(child, 0, 0);
  return 0;
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (strcmp(what, "unread") == 0 && count == 3) return unread(words[2]);
  if (strcmp(what, "execs") == 0) return execs();
  if (strcmp(what, "memfd") == 0) return memfd(words[0]);
  if (strcmp(what, "files") == 0) return files();
  if (strcmp(what, "sockets") == 0) return sockets();
  if (strcmp(what, "from-thread") == 0 && count == 3) return from_thread(words[2]);
  if (strcmp(what, "leaderless") == 0 && count == 3) return leaderless(words[2]);
  if (strcmp(what, "interrupted") == 0 && count == 3) return interrupted(words[2]);
  if (strcmp(what, "open") == 0 && count == 3) return said("open", open_at(words[2])), 0;
  if (strcmp(what, "nothing") == 0) return 0;
  fprintf(stderr, "usage: calls unread|execs|memfd|files|sockets|from-thread|leaderless|interrupted|open|nothing ...\n");
  return 2;
}
