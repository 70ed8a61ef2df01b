/* Under SQLite, by LD_PRELOAD: kills the process in the midst of a write or around a sync, and records what is written.
 *
 * shim_arm(POINT, N) arms one kill, points as numbered in points.DISK. With CRASH_RECORD=FILE in the environment, each
 * change of a file under CRASH_FOLDER goes to FILE as it is made: one line of words, then the bytes of a write. Records
 * are written under one lock together with what they tell of, so their order is the order of the disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { WAL_TORN, WAL_SYNC, WAL_SYNCED, DB_TORN, DB_SYNC, DB_SYNCED };

static int armed = -1, left = 0, journal = -1;
static char folder[4096];
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void shim_arm(int point, int n) { armed = point; left = n; }

static int is_due(int point) { return armed == point && --left == 0; }
static void die(void) { kill(getpid(), SIGKILL); pause(); }

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t raw_write(int fd, const void *data, size_t size) { REAL(write); return real(fd, data, size); }

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("CRASH_RECORD"), *where = getenv("CRASH_FOLDER");
  if (!file || !where || !realpath(where, folder)) return;
  REAL(open);
  journal = real(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *path_of(int fd, char *buffer) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, buffer, 4095);
  if (size < 0) return "";
  buffer[size] = 0;
  return buffer;
}

static int ends(const char *path, const char *tail) {
  size_t a = strlen(path), b = strlen(tail);
  return a >= b && !strcmp(path + a - b, tail);
}

static int is_ours(const char *path) { return journal >= 0 && !strncmp(path, folder, strlen(folder)) && !ends(path, "-shm"); }

static void note(const char *deed, unsigned long inode, const char *path, long offset, const void *data, size_t size) {
  struct timespec now;
  char line[9000];
  clock_gettime(CLOCK_MONOTONIC, &now);
  int length = snprintf(line, sizeof line, "%s\t%ld.%09ld\t%lu\t%ld\t%zu\t%s\n", deed, (long)now.tv_sec, now.tv_nsec,
                        inode, offset, size, path);
  raw_write(journal, line, length);
  if (size) raw_write(journal, data, size);
}

static unsigned long inode_of(int fd) { struct stat s; return fstat(fd, &s) ? 0 : s.st_ino; }
static unsigned long inode_at(const char *path) { struct stat s; return lstat(path, &s) ? 0 : s.st_ino; }

static const char *whole(int at, const char *path, char *buffer) {
  if (path[0] == '/') return path;
  char base[4096];
  if (at == AT_FDCWD) { if (!getcwd(base, sizeof base)) return path; } else path_of(at, base);
  snprintf(buffer, 8192, "%s/%s", base, path);
  return buffer;
}

#define BOTH(deed) pthread_mutex_lock(&lock); deed; pthread_mutex_unlock(&lock)

static ssize_t written(int fd, const void *data, size_t size, off_t at, ssize_t (*go)(int, const void *, size_t, off_t)) {
  char buffer[4096];
  const char *path = path_of(fd, buffer);
  int point = ends(path, ".db-wal") ? WAL_TORN : ends(path, ".db") ? DB_TORN : -1;
  if (point >= 0 && size > 1024 && is_due(point)) { go(fd, data, size / 2, at); die(); }
  if (!is_ours(path)) return go(fd, data, size, at);
  ssize_t got;
  BOTH(got = go(fd, data, size, at); if (got > 0) note("write", inode_of(fd), path, at, data, got));
  return got;
}

static ssize_t go_pwrite(int fd, const void *d, size_t n, off_t at) { REAL(pwrite64); return real(fd, d, n, at); }
static ssize_t go_write(int fd, const void *d, size_t n, off_t at) { (void)at; return raw_write(fd, d, n); }

ssize_t pwrite64(int fd, const void *d, size_t n, off_t at) { return written(fd, d, n, at, go_pwrite); }
ssize_t pwrite(int fd, const void *d, size_t n, off_t at) { return written(fd, d, n, at, go_pwrite); }
ssize_t write(int fd, const void *d, size_t n) {
  if (journal < 0) return raw_write(fd, d, n);
  off_t at = lseek(fd, 0, SEEK_CUR);
  return at < 0 ? raw_write(fd, d, n) : written(fd, d, n, at, go_write);
}

static int cut(int fd, off_t size, int (*go)(int, off_t)) {
  char buffer[4096];
  const char *path = path_of(fd, buffer);
  if (!is_ours(path)) return go(fd, size);
  int got;
  BOTH(got = go(fd, size); if (!got) note("cut", inode_of(fd), path, size, 0, 0));
  return got;
}
static int go_cut(int fd, off_t size) { REAL(ftruncate64); return real(fd, size); }
int ftruncate64(int fd, off_t size) { return cut(fd, size, go_cut); }
int ftruncate(int fd, off_t size) { return cut(fd, size, go_cut); }

static int synced(int fd, int (*go)(int)) {
  char buffer[4096];
  const char *path = path_of(fd, buffer);
  int point = ends(path, ".db-wal") ? WAL_SYNC : ends(path, ".db") ? DB_SYNC : -1;
  if (point >= 0 && is_due(point)) die();
  int got;
  if (is_ours(path)) { BOTH(got = go(fd); if (!got) note("sync", inode_of(fd), path, 0, 0, 0)); }
  else got = go(fd);
  if (point >= 0 && is_due(point + 1)) die();
  return got;
}
static int go_fsync(int fd) { REAL(fsync); return real(fd); }
static int go_fdatasync(int fd) { REAL(fdatasync); return real(fd); }
int fsync(int fd) { return synced(fd, go_fsync); }
int fdatasync(int fd) { return synced(fd, go_fdatasync); }

static int opened(int at, const char *path, int flags, mode_t mode, int (*go)(int, const char *, int, mode_t)) {
  char buffer[8192];
  const char *full = journal < 0 ? path : whole(at, path, buffer);
  if (journal < 0 || !(flags & (O_CREAT | O_TRUNC)) || !is_ours(full)) return go(at, path, flags, mode);
  int got;
  pthread_mutex_lock(&lock);
  int was = access(full, F_OK) == 0;
  got = go(at, path, flags, mode);
  if (got >= 0 && !was) note("make", inode_of(got), full, 0, 0, 0);
  else if (got >= 0 && (flags & O_TRUNC)) note("cut", inode_of(got), full, 0, 0, 0);
  pthread_mutex_unlock(&lock);
  return got;
}
static int go_open(int at, const char *p, int f, mode_t m) { (void)at; REAL(open64); return real(p, f, m); }
static int go_openat(int at, const char *p, int f, mode_t m) { REAL(openat64); return real(at, p, f, m); }
#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list l; va_start(l, flags); mode = va_arg(l, mode_t); va_end(l); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode, go_open); }
int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode, go_open); }
int openat64(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode, go_openat); }
int openat(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode, go_openat); }

static int removed(const char *path, int (*go)(const char *)) {
  char buffer[8192];
  const char *full = journal < 0 ? path : whole(AT_FDCWD, path, buffer);
  if (journal < 0 || !is_ours(full)) return go(path);
  int got;
  BOTH(got = go(path); if (!got) note("unlink", 0, full, 0, 0, 0));
  return got;
}
static int go_unlink(const char *path) { REAL(unlink); return real(path); }
int unlink(const char *path) { return removed(path, go_unlink); }

int unlinkat(int at, const char *path, int flags) {
  REAL(unlinkat);
  char buffer[8192];
  const char *full = journal < 0 ? path : whole(at, path, buffer);
  if (journal < 0 || !is_ours(full)) return real(at, path, flags);
  int got;
  BOTH(got = real(at, path, flags); if (!got) note("unlink", 0, full, 0, 0, 0));
  return got;
}

/* a rename or a link tells the inode under its new name; the old name of a rename is told as unlinked in the same go */
int rename(const char *old, const char *new) {
  REAL(rename);
  char a[8192], b[8192];
  const char *from = journal < 0 ? old : whole(AT_FDCWD, old, a), *to = journal < 0 ? new : whole(AT_FDCWD, new, b);
  if (journal < 0 || !is_ours(to)) return real(old, new);
  int got;
  BOTH(unsigned long inode = inode_at(from); got = real(old, new);
       if (!got) { note("rename", inode, to, 0, from, strlen(from)); });
  return got;
}

int link(const char *old, const char *new) {
  REAL(link);
  char b[8192];
  const char *to = journal < 0 ? new : whole(AT_FDCWD, new, b);
  if (journal < 0 || !is_ours(to)) return real(old, new);
  int got;
  BOTH(got = real(old, new); if (!got) note("name", inode_at(to), to, 0, 0, 0));
  return got;
}
int linkat(int oa, const char *old, int na, const char *new, int flags) {
  REAL(linkat);
  char b[8192];
  const char *to = journal < 0 ? new : whole(na, new, b);
  if (journal < 0 || !is_ours(to)) return real(oa, old, na, new, flags);
  int got;
  BOTH(got = real(oa, old, na, new, flags); if (!got) note("name", inode_at(to), to, 0, 0, 0));
  return got;
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  char buffer[8192];
  const char *full = journal < 0 ? path : whole(AT_FDCWD, path, buffer);
  if (journal < 0 || !is_ours(full)) return real(path, mode);
  int got;
  BOTH(got = real(path, mode); if (!got) note("folder", inode_at(full), full, 0, 0, 0));
  return got;
}
