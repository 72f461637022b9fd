/* Writes down, in order, every system call by which a process changes files under POWER_FOLDER, and
   what it says on standard output, so that a plug can be pulled between any two of them.

   A record: kind, inode, offset, lengths of two paths and of data, then these. Preloaded
   (LD_PRELOAD) into a process and its children, which append to the one file POWER_TRACE. With
   POWER_STOP=n the process ends without a word before its n-th record. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct head { uint32_t kind, first, second; uint64_t inode, length; int64_t offset; } __attribute__((packed));

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_length;
static int trace = -1;
static long stop, made;

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("POWER_FOLDER"), *path = getenv("POWER_TRACE");
    if (!given || !path) return;
    snprintf(folder, sizeof folder, "%s", given);
    folder_length = strlen(folder);
    stop = getenv("POWER_STOP") ? atol(getenv("POWER_STOP")) : 0;
    trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace >= 0) { /* where no program closes it by counting up */
        int high = syscall(SYS_fcntl, trace, F_DUPFD_CLOEXEC, 900);
        if (high >= 0) { syscall(SYS_close, trace); trace = high; }
    }
}

static int within(const char *path) {
    return trace >= 0 && !strncmp(path, folder, folder_length)
        && (path[folder_length] == '/' || path[folder_length] == 0);
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length >= 0 && within(path);
}

static int absolute(int at, const char *path, char *found) {
    char base[PATH_MAX];
    if (!path) return 0;
    if (*path == '/') snprintf(found, PATH_MAX, "%s", path);
    else {
        if (at == AT_FDCWD) { if (!getcwd(base, sizeof base)) return 0; }
        else path_of(at, base);
        if (snprintf(found, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    for (size_t end = strlen(found); end > 1 && found[end - 1] == '/'; end--) found[end - 1] = 0;
    return within(found);
}

static uint64_t inode_of(int descriptor) {
    struct stat about;
    return fstat(descriptor, &about) ? 0 : about.st_ino;
}

static int64_t size_of(int descriptor) {
    struct stat about;
    return fstat(descriptor, &about) ? 0 : about.st_size;
}

/* Before the call that would be recorded, with the lock taken. */
static void due(void) {
    pthread_mutex_lock(&one);
    if (stop && made + 1 == stop) syscall(SYS_exit_group, 99);
}

static void record(char kind, uint64_t inode, int64_t offset, const char *first,
                   const char *second, const void *data, uint64_t length) {
    int before = errno;
    struct head head = {kind, first ? strlen(first) : 0, second ? strlen(second) : 0, inode, length, offset};
    struct iovec pieces[] = {{&head, sizeof head}, {(void *)first, head.first},
                             {(void *)second, head.second}, {(void *)data, length}};
    ssize_t whole = sizeof head + head.first + head.second + length;
    if (syscall(SYS_writev, trace, pieces, 4) != whole) syscall(SYS_exit_group, 98);
    made++;
    errno = before;
}

static void done(void) { pthread_mutex_unlock(&one); }

static int opened(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC)) || !absolute(at, path, whole))
        return syscall(SYS_openat, at, path, flags, mode);
    due();
    struct stat about;
    int there = !fstatat(at, path, &about, 0);
    int descriptor = syscall(SYS_openat, at, path, flags, mode);
    if (descriptor >= 0 && (flags & O_TMPFILE) == O_TMPFILE) record('E', 0, 0, whole, 0, 0, 0);
    else if (descriptor >= 0 && !there) record('C', inode_of(descriptor), 0, whole, 0, 0, 0);
    else if (descriptor >= 0 && flags & O_TRUNC) record('T', inode_of(descriptor), 0, 0, 0, 0, 0);
    done();
    return descriptor;
}

#define MODE mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

ssize_t write(int descriptor, const void *data, size_t length) {
    char path[PATH_MAX];
    int said = descriptor == 1 && trace >= 0;
    if (!said && !path_of(descriptor, path)) return syscall(SYS_write, descriptor, data, length);
    due();
    int64_t place = lseek(descriptor, 0, SEEK_CUR);
    if (!said && fcntl(descriptor, F_GETFL) & O_APPEND) place = size_of(descriptor);
    ssize_t written = syscall(SYS_write, descriptor, data, length);
    if (written > 0) record(said ? 'O' : 'W', said ? 0 : inode_of(descriptor), place, 0, 0, data, written);
    done();
    return written;
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t place) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return syscall(SYS_pwrite64, descriptor, data, length, place);
    due();
    ssize_t written = syscall(SYS_pwrite64, descriptor, data, length, place);
    if (written > 0) record('W', inode_of(descriptor), place, 0, 0, data, written);
    done();
    return written;
}
ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t place) { return pwrite(descriptor, data, length, place); }

/* A shorter write than was asked for is no error: the caller goes on with the rest. */
ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    char path[PATH_MAX];
    if (descriptor != 1 && !path_of(descriptor, path)) return syscall(SYS_writev, descriptor, pieces, count);
    for (int each = 0; each < count; each++)
        if (pieces[each].iov_len) return write(descriptor, pieces[each].iov_base, pieces[each].iov_len);
    return 0;
}
ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t place) {
    for (int each = 0; each < count; each++)
        if (pieces[each].iov_len) return pwrite(descriptor, pieces[each].iov_base, pieces[each].iov_len, place);
    return 0;
}
ssize_t pwritev64(int descriptor, const struct iovec *pieces, int count, off64_t place) { return pwritev(descriptor, pieces, count, place); }

/* What the kernel copied by itself is read again. */
static void copied(int descriptor, int64_t place, ssize_t length) {
    char link[64], *data = malloc(length);
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int again = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    if (again < 0 || pread(again, data, length, place) != length) syscall(SYS_exit_group, 98);
    syscall(SYS_close, again);
    record('W', inode_of(descriptor), place, 0, 0, data, length);
    free(data);
}

ssize_t sendfile(int out, int in, off_t *from, size_t length) {
    char path[PATH_MAX];
    if (!path_of(out, path)) return syscall(SYS_sendfile, out, in, from, length);
    due();
    int64_t place = lseek(out, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_sendfile, out, in, from, length);
    if (written > 0) copied(out, place, written);
    done();
    return written;
}
ssize_t sendfile64(int out, int in, off64_t *from, size_t length) { return sendfile(out, in, from, length); }

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    char path[PATH_MAX];
    if (!path_of(out, path)) return syscall(SYS_copy_file_range, in, from, out, to, length, flags);
    due();
    int64_t place = to ? *to : lseek(out, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_copy_file_range, in, from, out, to, length, flags);
    if (written > 0) copied(out, place, written);
    done();
    return written;
}

int ftruncate(int descriptor, off_t size) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return syscall(SYS_ftruncate, descriptor, size);
    due();
    int failed = syscall(SYS_ftruncate, descriptor, size);
    if (!failed) record('T', inode_of(descriptor), size, 0, 0, 0, 0);
    done();
    return failed;
}
int ftruncate64(int descriptor, off64_t size) { return ftruncate(descriptor, size); }

int truncate(const char *path, off_t size) {
    int descriptor = opened(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    int failed = ftruncate(descriptor, size);
    close(descriptor);
    return failed;
}
int truncate64(const char *path, off64_t size) { return truncate(path, size); }

int fallocate(int descriptor, int mode, off_t place, off_t length) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return syscall(SYS_fallocate, descriptor, mode, place, length);
    due();
    int64_t before = size_of(descriptor);
    int failed = syscall(SYS_fallocate, descriptor, mode, place, length);
    if (!failed && mode) record('E', 0, 0, path, 0, 0, 0);
    else if (!failed && size_of(descriptor) > before) record('T', inode_of(descriptor), size_of(descriptor), 0, 0, 0, 0);
    done();
    return failed;
}
int fallocate64(int descriptor, int mode, off64_t place, off64_t length) { return fallocate(descriptor, mode, place, length); }
int posix_fallocate(int descriptor, off_t place, off_t length) { return fallocate(descriptor, 0, place, length) ? errno : 0; }
int posix_fallocate64(int descriptor, off64_t place, off64_t length) { return posix_fallocate(descriptor, place, length); }

static int synced(int descriptor, long call) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return syscall(call, descriptor);
    due();
    struct stat about;
    fstat(descriptor, &about);
    int failed = syscall(call, descriptor);
    if (!failed && S_ISDIR(about.st_mode)) record('D', 0, 0, path, 0, 0, 0);
    else if (!failed) record('S', about.st_ino, 0, 0, 0, 0, 0);
    done();
    return failed;
}
int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
    char whole[PATH_MAX], other[PATH_MAX];
    int inside = absolute(at, from, whole), too = absolute(to_at, to, other);
    if (!inside && !too) return syscall(SYS_renameat2, at, from, to_at, to, flags);
    due();
    int failed = syscall(SYS_renameat2, at, from, to_at, to, flags);
    if (!failed) record(inside && too && !(flags & ~1u) ? 'R' : 'E', 0, 0, whole, other, 0, 0);
    done();
    return failed;
}
int renameat(int at, const char *from, int to_at, const char *to) { return renameat2(at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    char whole[PATH_MAX], other[PATH_MAX];
    int inside = absolute(at, from, whole), too = absolute(to_at, to, other);
    if (!too) return syscall(SYS_linkat, at, from, to_at, to, flags);
    due();
    int failed = syscall(SYS_linkat, at, from, to_at, to, flags);
    if (!failed) record(inside ? 'L' : 'E', 0, 0, whole, other, 0, 0);
    done();
    return failed;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int at, const char *path) {
    char whole[PATH_MAX];
    if (!absolute(at, path, whole)) return syscall(SYS_symlinkat, target, at, path);
    due();
    int failed = syscall(SYS_symlinkat, target, at, path);
    if (!failed) record('Y', 0, 0, whole, target, 0, 0);
    done();
    return failed;
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int unlinkat(int at, const char *path, int flags) {
    char whole[PATH_MAX];
    if (!absolute(at, path, whole)) return syscall(SYS_unlinkat, at, path, flags);
    due();
    int failed = syscall(SYS_unlinkat, at, path, flags);
    if (!failed) record('U', 0, 0, whole, 0, 0, 0);
    done();
    return failed;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    if (!absolute(at, path, whole)) return syscall(SYS_mkdirat, at, path, mode);
    due();
    int failed = syscall(SYS_mkdirat, at, path, mode);
    if (!failed) record('M', 0, 0, whole, 0, 0, 0);
    done();
    return failed;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
