/* Preloaded into a proxy: how long the kernel takes to choose a port and begin to connect, by the thread's own CPU time.
 *
 * bind() and connect() of one descriptor belong together: who chooses ports itself pays in bind(). Every TCP connect to
 * a port between CONNECT_FIRST and CONNECT_LAST appends four bytes, its nanoseconds, to the file CONNECT_TIMES. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int (*next_bind)(int, const struct sockaddr *, socklen_t);
static int (*next_connect)(int, const struct sockaddr *, socklen_t);
static int out = -1;
static uint16_t first, last;
static __thread int bound = -1;
static __thread uint64_t bind_ns;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("CONNECT_TIMES"), *from = getenv("CONNECT_FIRST"), *to = getenv("CONNECT_LAST");
  next_bind = dlsym(RTLD_NEXT, "bind");
  next_connect = dlsym(RTLD_NEXT, "connect");
  if (file && from && to) {
    first = (uint16_t)atoi(from);
    last = (uint16_t)atoi(to);
    out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  uint64_t began = now();
  int answer = next_bind(fd, address, length), kept = errno;
  bound = fd;
  bind_ns = now() - began;
  errno = kept;
  return answer;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  uint64_t began = now();
  int answer = next_connect(fd, address, length), kept = errno;
  uint64_t took = now() - began + (bound == fd ? bind_ns : 0);
  bound = -1;
  if (out >= 0 && address->sa_family == AF_INET) {
    uint16_t port = ntohs(((const struct sockaddr_in *)address)->sin_port);
    uint32_t ns = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    if (port >= first && port <= last && write(out, &ns, sizeof ns) < 0) out = -1;
  }
  errno = kept;
  return answer;
}
