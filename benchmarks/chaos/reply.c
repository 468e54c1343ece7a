/* After SIGWINCH the program dies in the middle of its next reply to a client, by LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile sig_atomic_t is_armed;

static void arm(int number) {
  (void)number;
  is_armed = 1;
}

__attribute__((constructor)) static void listen_for_the_signal(void) { signal(SIGWINCH, arm); }

/* A command in the stream for replicas, such as *1\r\n$4\r\nPING, is no reply to a client. */
static int is_command(const char *data, size_t size) {
  const char *line = memchr(data, '\n', size);
  if (!line || line + 1 >= data + size || line[1] != '$') return 0;
  const char *word = memchr(line + 1, '\n', data + size - line - 1);
  return word && word + 1 < data + size && word[1] >= 'A' && word[1] <= 'Z';
}

static int is_reply(int file, const char *data, size_t size) {
  struct stat status;
  if (size < 4 || fstat(file, &status) || !S_ISSOCK(status.st_mode)) return 0;
  return data[0] == '$' || data[0] == ':' || (data[0] == '*' && !is_command(data, size));
}

static void die_within(int file, const char *data, size_t size) {
  if (!is_armed || !is_reply(file, data, size)) return;
  ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  next(file, data, size / 2);
  kill(getpid(), SIGKILL);
}

ssize_t write(int file, const void *data, size_t size) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = dlsym(RTLD_NEXT, "write");
  die_within(file, data, size);
  return next(file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  static ssize_t (*next)(int, const struct iovec *, int);
  if (!next) next = dlsym(RTLD_NEXT, "writev");
  if (count > 0) die_within(file, parts[0].iov_base, parts[0].iov_len);
  return next(file, parts, count);
}
