/* Remembers what a power cut would leave: the content of each file and the names in each folder, as
 * they were when they were last synced. Preloaded into a process, it writes both to the folder that
 * POWER_CUT names, by inode: "f<inode>" is a file's content, "d<inode>" lists a folder, one
 * "<type><inode> <name>" a line. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_copy(char kind, unsigned long inode, int flags) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%c%lu", getenv("POWER_CUT"), kind, inode);
    return open(path, flags | O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static void copy_range(int from, off_t start, off_t end) {
    static char buffer[1 << 16];
    struct stat about;
    fstat(from, &about);
    int to = open_copy('f', about.st_ino, 0);
    if (end > about.st_size) end = about.st_size;
    ftruncate(to, about.st_size);
    for (off_t at = start; at < end;) {
        off_t data = lseek(from, at, SEEK_DATA); /* holes stay holes */
        if (data < 0) break;
        if (data > at) at = data;
        off_t hole = lseek(from, at, SEEK_HOLE);
        if (hole > end) hole = end;
        while (at < hole) {
            size_t want = sizeof buffer < (size_t)(hole - at) ? sizeof buffer : (size_t)(hole - at);
            ssize_t got = pread(from, buffer, want, at);
            if (got <= 0 || pwrite(to, buffer, got, at) != got) abort();
            at += got;
        }
    }
    close(to);
}

static void list_folder(int folder) {
    char line[1024];
    struct stat about;
    fstat(folder, &about);
    int to = open_copy('d', about.st_ino, O_TRUNC);
    DIR *entries = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY));
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        struct stat one;
        if (fstatat(folder, entry->d_name, &one, AT_SYMLINK_NOFOLLOW)) continue;
        char kind = S_ISDIR(one.st_mode) ? 'd' : 'f';
        if (kind == 'f') { /* another name, so that no new file gets the inode */
            char path[4096];
            snprintf(path, sizeof path, "%s/l%lu", getenv("POWER_CUT"), one.st_ino);
            linkat(folder, entry->d_name, AT_FDCWD, path, 0);
        }
        int size = snprintf(line, sizeof line, "%c%lu %s\n", kind, one.st_ino, entry->d_name);
        if (write(to, line, size) != size) abort();
    }
    closedir(entries);
    close(to);
}

static int synced(int file, int outcome) {
    char path[64];
    struct stat about;
    if (outcome || !getenv("POWER_CUT") || fstat(file, &about)) return outcome;
    if (S_ISDIR(about.st_mode)) {
        list_folder(file);
    } else if (S_ISREG(about.st_mode)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        int readable = open(path, O_RDONLY | O_CLOEXEC);
        copy_range(readable, 0, about.st_size);
        close(readable);
    }
    return outcome;
}

int fsync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return synced(file, real(file));
}

int fdatasync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return synced(file, real(file));
}

int msync(void *address, size_t length, int flags) {
    int (*real)(void *, size_t, int) = dlsym(RTLD_NEXT, "msync");
    int outcome = real(address, length, flags);
    if (outcome || !(flags & MS_SYNC) || !getenv("POWER_CUT")) return outcome;
    char line[4400], path[4096];
    unsigned long first, last, offset, at = (unsigned long)address;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps)) {
        path[0] = 0;
        int fields = sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095[^\n]", &first, &last, &offset, path);
        if (fields == 4 && path[0] == '/' && first <= at && at < last) {
            int file = open(path, O_RDONLY | O_CLOEXEC);
            off_t start = (off_t)(offset + (at - first)) & ~4095L;
            if (file >= 0) {
                copy_range(file, start, (off_t)(offset + (at - first) + length + 4095) & ~4095L);
                close(file);
            }
        }
    }
    fclose(maps);
    return outcome;
}
