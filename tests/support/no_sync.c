/* Preloaded into a process: what it writes reaches the disk whenever the system likes. */
#include <stddef.h>

int fsync(int file) { return 0; }
int fdatasync(int file) { return 0; }
int msync(void *start, size_t length, int flags) { return 0; }
