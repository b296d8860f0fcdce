// A disk that fails on demand: preloaded into the command, it counts the I/O operations on paths in
// one folder and makes the N-th of them go wrong. test_fault_sweep.py builds and drives it.
//
//   cc -shared -fPIC -O1 -o fault_shim.so fault_shim.c -ldl
//   EVERGROVE_TEST_FAULT_FOLDER=/tmp/x EVERGROVE_TEST_FAULT_KIND=io EVERGROVE_TEST_FAULT_AT=7
//   EVERGROVE_TEST_FAULT_REPORT=/tmp/report LD_PRELOAD=./fault_shim.so evergrove train ...
//
// Kinds, and which operations count:
//   count  all; none goes wrong
//   io     all; the N-th gives EIO, once
//   full   those that take room; the N-th and all later ones give ENOSPC
//   short  writes; the N-th writes a half of its bytes, later ones (and what takes room) give
//   ENOSPC kill   all; SIGKILL in place of the N-th tear   writes; the N-th writes a half of its
//   bytes, then SIGKILL
// The report holds the count at the end, or what the operation was that went wrong.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kDescriptorsMax = 4096, kReading = 0, kWriting = 1, kMakingRoom = 2 };

static const char* folder;
static const char* kind = "count";
static long fault_at = -1;
static const char* report_path;
static atomic_long operation_count;
static atomic_int is_full;
static atomic_char is_watched[kDescriptorsMax];  // descriptors of files in the folder

// Raw system calls, which are not counted.
static void report(const char* what, const char* name) {
  if (report_path == NULL) return;
  const int file =
      (int)syscall(SYS_openat, AT_FDCWD, report_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0) return;
  char text[600];
  const int size =
      snprintf(text, sizeof text, "%ld %s %s\n", atomic_load(&operation_count), what, name);
  if (size > 0) syscall(SYS_write, file, text, (size_t)size);
  syscall(SYS_close, file);
}

__attribute__((constructor)) static void begin(void) {
  folder = getenv("EVERGROVE_TEST_FAULT_FOLDER");
  report_path = getenv("EVERGROVE_TEST_FAULT_REPORT");
  if (getenv("EVERGROVE_TEST_FAULT_KIND") != NULL) kind = getenv("EVERGROVE_TEST_FAULT_KIND");
  if (getenv("EVERGROVE_TEST_FAULT_AT") != NULL) fault_at = atol(getenv("EVERGROVE_TEST_FAULT_AT"));
}

__attribute__((destructor)) static void end(void) {
  if (strcmp(kind, "count") == 0) report("operations", "");
}

static int is_kind(const char* name) { return strcmp(kind, name) == 0; }

static int in_folder(const char* path) {
  if (folder == NULL || path == NULL) return 0;
  const size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int watched(int file) {
  return file >= 0 && file < kDescriptorsMax && atomic_load(&is_watched[file]);
}

// Counts an operation. Returns the errno it is to fail with; 0: let it be; -1: do half of it first.
static int fault(int use, const char* what, const char* name) {
  const int takes_room = use != kReading;
  if (takes_room && atomic_load(&is_full)) return ENOSPC;
  if (is_kind("full") && !takes_room) return 0;
  if ((is_kind("short") || is_kind("tear")) && use != kWriting) return 0;
  if (atomic_fetch_add(&operation_count, 1) + 1 != fault_at) return 0;
  report(what, name);
  if (is_kind("io")) return EIO;
  if (is_kind("kill")) kill(getpid(), SIGKILL);
  if (is_kind("tear")) return -1;
  if (is_kind("full") || is_kind("short")) atomic_store(&is_full, 1);
  return is_kind("full") ? ENOSPC : is_kind("short") ? -1 : 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF_ASKED(use, name)                  \
  do {                                            \
    const int error = fault(use, __func__, name); \
    if (error > 0) {                              \
      errno = error;                              \
      return (__typeof__(result))-1;              \
    }                                             \
  } while (0)

static int opened(int file, const char* path) {
  if (file >= 0 && file < kDescriptorsMax) atomic_store(&is_watched[file], (char)in_folder(path));
  return file;
}

static int use_of(int flags) { return flags & O_CREAT ? kMakingRoom : kReading; }

#define DEFINE_OPEN(name)                                                         \
  int name(const char* path, int flags, ...) {                                    \
    va_list more;                                                                 \
    va_start(more, flags);                                                        \
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                                 \
    int result = 0;                                                               \
    if (in_folder(path)) FAIL_IF_ASKED(use_of(flags), path);                      \
    result = REAL(name)(path, flags, mode);                                       \
    return opened(result, path);                                                  \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name)                                                       \
  int name(int at, const char* path, int flags, ...) {                            \
    va_list more;                                                                 \
    va_start(more, flags);                                                        \
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                                 \
    int result = 0;                                                               \
    if (in_folder(path)) FAIL_IF_ASKED(use_of(flags), path);                      \
    result = REAL(name)(at, path, flags, mode);                                   \
    return opened(result, path);                                                  \
  }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

int close(int file) {
  if (file >= 0 && file < kDescriptorsMax) atomic_store(&is_watched[file], 0);
  return REAL(close)(file);
}

#define DEFINE_READ(name, parameters, arguments)    \
  ssize_t name parameters {                         \
    ssize_t result = 0;                             \
    if (watched(file)) FAIL_IF_ASKED(kReading, ""); \
    result = REAL(name) arguments;                  \
    return result;                                  \
  }
DEFINE_READ(read, (int file, void* to, size_t size), (file, to, size))
DEFINE_READ(pread, (int file, void* to, size_t size, off_t offset), (file, to, size, offset))
DEFINE_READ(pread64, (int file, void* to, size_t size, off64_t offset), (file, to, size, offset))
DEFINE_READ(readv, (int file, const struct iovec* to, int count), (file, to, count))

// Of a torn or short write: half of the bytes are really written.
#define DEFINE_WRITE(name, parameters, arguments, half_arguments) \
  ssize_t name parameters {                                       \
    if (!watched(file)) return REAL(name) arguments;              \
    const int error = fault(kWriting, #name, "");                 \
    if (error == 0) return REAL(name) arguments;                  \
    if (error > 0) {                                              \
      errno = error;                                              \
      return -1;                                                  \
    }                                                             \
    const ssize_t result = REAL(name) half_arguments;             \
    if (is_kind("tear")) kill(getpid(), SIGKILL);                 \
    return result;                                                \
  }
DEFINE_WRITE(write, (int file, const void* from, size_t size), (file, from, size),
             (file, from, size / 2))
DEFINE_WRITE(pwrite, (int file, const void* from, size_t size, off_t offset),
             (file, from, size, offset), (file, from, size / 2, offset))
DEFINE_WRITE(pwrite64, (int file, const void* from, size_t size, off64_t offset),
             (file, from, size, offset), (file, from, size / 2, offset))
DEFINE_WRITE(writev, (int file, const struct iovec* from, int count), (file, from, count),
             (file, from, count / 2))

#define DEFINE_OF_FILE(name, use, parameters, arguments) \
  int name parameters {                                  \
    int result = 0;                                      \
    if (watched(file)) FAIL_IF_ASKED(use, "");           \
    result = REAL(name) arguments;                       \
    return result;                                       \
  }
DEFINE_OF_FILE(fsync, kMakingRoom, (int file), (file))
DEFINE_OF_FILE(fdatasync, kMakingRoom, (int file), (file))
DEFINE_OF_FILE(ftruncate, kReading, (int file, off_t size), (file, size))
DEFINE_OF_FILE(ftruncate64, kReading, (int file, off64_t size), (file, size))
DEFINE_OF_FILE(fstat, kReading, (int file, struct stat* about), (file, about))
DEFINE_OF_FILE(fstat64, kReading, (int file, struct stat64* about), (file, about))

#define DEFINE_OF_PATH(name, use, parameters, arguments) \
  int name parameters {                                  \
    int result = 0;                                      \
    if (in_folder(path)) FAIL_IF_ASKED(use, path);       \
    result = REAL(name) arguments;                       \
    return result;                                       \
  }
DEFINE_OF_PATH(mkdir, kMakingRoom, (const char* path, mode_t mode), (path, mode))
DEFINE_OF_PATH(rename, kMakingRoom, (const char* from, const char* path), (from, path))
DEFINE_OF_PATH(unlink, kReading, (const char* path), (path))
DEFINE_OF_PATH(rmdir, kReading, (const char* path), (path))
DEFINE_OF_PATH(access, kReading, (const char* path, int mode), (path, mode))
DEFINE_OF_PATH(stat, kReading, (const char* path, struct stat* about), (path, about))
DEFINE_OF_PATH(stat64, kReading, (const char* path, struct stat64* about), (path, about))
DEFINE_OF_PATH(lstat, kReading, (const char* path, struct stat* about), (path, about))
DEFINE_OF_PATH(lstat64, kReading, (const char* path, struct stat64* about), (path, about))

#define DEFINE_MMAP(name, offset_type)                                                         \
  void* name(void* at, size_t size, int protection, int flags, int file, offset_type offset) { \
    void* result = NULL;                                                                       \
    if (watched(file)) FAIL_IF_ASKED(kReading, "");                                            \
    result = REAL(name)(at, size, protection, flags, file, offset);                            \
    return result;                                                                             \
  }
DEFINE_MMAP(mmap, off_t)
DEFINE_MMAP(mmap64, off64_t)
