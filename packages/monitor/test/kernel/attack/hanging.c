/* A file system at argv[1] that answers nothing but that it is there. Ends with its standard input: then all that waits for it fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
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
