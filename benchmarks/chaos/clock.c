/* Shifts the time of day of a program, by LD_PRELOAD: by CLOCK_OFFSET seconds, or by the microseconds that the file
 * CLOCK_FILE has at the moment (8 bytes, of this machine's order). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *offset_at(void) {
  static long constant;
  static const volatile long *at;
  if (at) return at;
  const char *path = getenv("CLOCK_FILE"), *text = getenv("CLOCK_OFFSET");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  constant = text ? atol(text) * 1000000 : 0;
  at = page == MAP_FAILED ? &constant : page;
  return at;
}

int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*next)(clockid_t, struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
  int answer = next(id, at);
  if (!answer && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
    long long microseconds = at->tv_sec * 1000000LL + at->tv_nsec / 1000 + *offset_at();
    at->tv_nsec = microseconds % 1000000 * 1000 + at->tv_nsec % 1000;
    at->tv_sec = microseconds / 1000000;
  }
  return answer;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
