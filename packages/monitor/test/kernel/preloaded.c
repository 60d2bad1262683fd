/* A library for LD_PRELOAD: writes down into which program it was loaded. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void note(void) {
  char name[4096];
  ssize_t length = readlink("/proc/self/exe", name, sizeof name - 1);
  const char *log = getenv("PRELOADED_LOG");
  if (length <= 0 || log == NULL) return;
  name[length++] = '\n';
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd >= 0 && write(fd, name, (size_t)length) > 0) close(fd);
}
