/* Preloaded into a server: its wall clock is off by a wanted time.
 * The control file holds that time in nanoseconds, mapped by the server and written by the test at any moment. What
 * measures how time passes (CLOCK_MONOTONIC) is left alone, as when somebody sets a machine's clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L

static _Atomic long *off;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void map_control(void)
{
    const char *name = getenv("CLOCK_SHIM_CONTROL");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) {
        /* Without it no clock would jump, and a test would prove nothing without a word. */
        fputs("clock shim: CLOCK_SHIM_CONTROL names no usable file\n", stderr);
        _exit(1);
    }
    close(file);
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    off = map;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (!real_clock_gettime)
        real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(clock, time);
    if (!failed && off && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long nanoseconds = time->tv_sec * SECOND + time->tv_nsec + atomic_load(off);
        time->tv_sec = nanoseconds / SECOND;
        time->tv_nsec = nanoseconds % SECOND;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}
