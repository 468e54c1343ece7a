/* Notes what a process has flushed to disk: a library that LD_PRELOAD puts before libc.
 *
 * After each fsync and fdatasync that succeeds, a line goes to the file POWER_NOTES:
 *   F INODE SIZE           a file, with the size that it had when the call began
 *   D INODE NAME/...       the directory POWER_DIRECTORY, with the names that it had when the call began
 * Each file in the directory gets a second name in POWER_LINKS, its inode: so a file that is deleted, or replaced by a
 * rename, can come back when the power goes before the directory is flushed again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 65536

static void note(const char *line, int length) {
    const char *path = getenv("POWER_NOTES");
    int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0) return;
    if (write(file, line, length) != length) abort();
    close(file);
}

/* The line of a directory, or 0 when it is not the one that counts. */
static int names_of(int fd, char *line) {
    char path[4096], link_to[4200], name[64];
    const char *directory = getenv("POWER_DIRECTORY"), *links = getenv("POWER_LINKS");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(name, path, sizeof path - 1);
    if (size < 0 || !directory || !links) return 0;
    path[size] = 0;
    if (strcmp(path, directory) != 0) return 0;
    DIR *listing = opendir(path);
    if (!listing) return 0;
    int length = sprintf(line, "D");
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(link_to, sizeof link_to, "%s/%lu", links, (unsigned long)entry->d_ino);
        linkat(dirfd(listing), entry->d_name, AT_FDCWD, link_to, 0);
        length += snprintf(line + length, MOST - length, " %lu %s", (unsigned long)entry->d_ino, entry->d_name);
        if (length >= MOST - 1) abort();
    }
    closedir(listing);
    line[length++] = '\n';
    return length;
}

static int flushed(int fd, const char *call) {
    struct stat before;
    static __thread char line[MOST];
    int length = 0;
    if (fstat(fd, &before) == 0) {
        if (S_ISREG(before.st_mode))
            length = sprintf(line, "F %lu %lld\n", (unsigned long)before.st_ino, (long long)before.st_size);
        else if (S_ISDIR(before.st_mode))
            length = names_of(fd, line);
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
    int answer = real(fd);
    if (answer == 0 && length) note(line, length);
    return answer;
}

int fsync(int fd) { return flushed(fd, "fsync"); }
int fdatasync(int fd) { return flushed(fd, "fdatasync"); }
