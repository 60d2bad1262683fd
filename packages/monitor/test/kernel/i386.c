/* A program of i386 without a C library: writes a line and ends. */
static int call(int number, int a, const void *b, int c) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}

void _start(void) {
  call(4, 1, "alive\n", 6);
  call(1, 0, 0, 0);
}
