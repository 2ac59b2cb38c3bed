/* Count the literals of a file (one a line) in another: `vectorscan PATTERNS FILE`, block mode over the mapped file.
   Without arguments it prints the library's version. */

#include <fcntl.h>
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 4096 };

static int met(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *count) {
    (void)id, (void)from, (void)to, (void)flags;
    ++*(unsigned long long *)count;
    return 0;
}

static char *map(const char *path, size_t *size) {
    struct stat info;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &info)) return NULL;
    char *data = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    *size = info.st_size;
    return data == MAP_FAILED ? NULL : data;
}

int main(int argc, char **argv) {
    static const char *literals[MOST];
    static size_t lengths[MOST];
    static unsigned flags[MOST], ids[MOST];
    size_t listed, size;
    unsigned count = 0;
    unsigned long long hits = 0;
    hs_database_t *database = NULL;
    hs_compile_error_t *error = NULL;
    hs_scratch_t *scratch = NULL;
    if (argc == 1) return puts(hs_version()) < 0;
    char *list = argc == 3 ? map(argv[1], &listed) : NULL;
    if (!list) return fprintf(stderr, "usage: vectorscan PATTERNS FILE\n"), 2;
    for (char *at = list, *end; at < list + listed && count < MOST; at = end + 1) {
        end = memchr(at, '\n', list + listed - at);
        if (!end) break;
        literals[count] = at, lengths[count] = end - at, flags[count] = 0, ids[count] = count;
        ++count;
    }
    if (hs_compile_lit_multi(literals, flags, ids, lengths, count, HS_MODE_BLOCK, NULL, &database, &error))
        return fprintf(stderr, "%s\n", error->message), 2;
    char *data = map(argv[2], &size);
    if (!data || size > 0xffffffffu) return fprintf(stderr, "cannot map %s\n", argv[2]), 2;
    if (hs_alloc_scratch(database, &scratch)) return 2;
    if (hs_scan(database, data, (unsigned)size, 0, scratch, met, &hits)) return 2;
    printf("%llu\n", hits);
    return 0;
}
