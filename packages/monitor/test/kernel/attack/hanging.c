/*
 * A file system at argv[1] that answers nothing but that it is there; with `files` also that every name is a file of a page, which can be
 * opened and is never read. Ends with its standard input: then all that waits for it fails.
 *
 * `names PATH`: opens what a name says that lies in that file, and so can be read by nobody.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int names(const char *path) {
  int file = open(path, O_RDONLY);
  char *name = mmap(0, 4096, PROT_READ, MAP_SHARED, file, 0);
  if (file < 0 || name == MAP_FAILED) {
    printf("no memory of it: %s\n", strerrorname_np(errno));
    return 1;
  }
  printf("named\n");
  fflush(stdout);
  int fd = open(name, O_RDONLY);
  printf("opened %s\n", fd >= 0 ? "something" : strerrorname_np(errno));
  return 0;
}

/* What is asked for most, of a file system where every name is a file. 0: that is all it says. */
static size_t said(const struct fuse_in_header *in, void *body) {
  static const struct fuse_attr file = {.ino = 2, .size = 4096, .mode = S_IFREG | 0444, .nlink = 1};
  static const struct fuse_attr folder = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2};
  struct fuse_entry_out entry = {.nodeid = 2, .attr = file, .entry_valid = 60, .attr_valid = 60};
  struct fuse_attr_out attr = {.attr_valid = 60, .attr = in->nodeid == 1 ? folder : file};
  struct fuse_open_out open = {.fh = 1};
  static const struct fuse_statfs_out system = {.st = {.namelen = 255, .bsize = 4096}};
  if (in->opcode == FUSE_LOOKUP) return memcpy(body, &entry, sizeof entry), sizeof entry;
  if (in->opcode == FUSE_GETATTR) return memcpy(body, &attr, sizeof attr), sizeof attr;
  if (in->opcode == FUSE_STATFS) return memcpy(body, &system, sizeof system), sizeof system;
  if (in->opcode == FUSE_OPEN) return memcpy(body, &open, sizeof open), sizeof open;
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (argc == 3 && strcmp(argv[1], "names") == 0) return names(argv[2]);
  int has_files = argc == 3 && strcmp(argv[2], "files") == 0;
  /* Whatever becomes of the test: nobody waits for ever. */
  alarm(60);
  int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
  if (fd < 0 || mount("hanging", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
    printf("%s\n", strerrorname_np(errno));
    return 1;
  }
  static char request[1 << 17];
  struct pollfd both[] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  while (poll(both, 2, -1) > 0 && both[0].revents == 0) {
    if (read(fd, request, sizeof request) < (ssize_t)sizeof(struct fuse_in_header)) continue;
    struct fuse_in_header *in = (void *)request;
    if (has_files && in->opcode != FUSE_INIT && in->opcode != FUSE_READ) {
      static char reply[256];
      struct fuse_out_header header = {.unique = in->unique};
      size_t length = said(in, reply + sizeof header);
      if (length == 0 && in->opcode != FUSE_FLUSH && in->opcode != FUSE_RELEASE) header.error = -ENOSYS;
      header.len = sizeof header + length;
      memcpy(reply, &header, sizeof header);
      /* Nobody waits for an answer to a name that is let go. */
      if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET && write(fd, reply, header.len) < 0) perror("answer");
      continue;
    }
    if (in->opcode != FUSE_INIT) {
      printf("asked\n");
      fflush(stdout);
      continue;
    }
    struct { struct fuse_out_header header; struct fuse_init_out init; } answer = {0};
    answer.header.len = sizeof answer;
    answer.header.unique = in->unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    if (write(fd, &answer, sizeof answer) < 0) return 1;
    printf("there\n");
    fflush(stdout);
  }
  umount2(argv[1], MNT_DETACH);
  return 0;
}
