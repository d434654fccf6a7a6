/* sync FOLDER COUNT: the price of one bare "append 128 bytes, fdatasync" in microseconds: median (lowest-p90). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	char path[512], data[128];
	static double took[2000];
	int count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
	if (count < 1 || count > 2000)
		return 2;
	snprintf(path, sizeof path, "%s/sync-bench", argv[1]);
	memset(data, 'x', sizeof data);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	for (int i = 0; i < count; i++) {
		struct timespec a, b;
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (fd < 0 || write(fd, data, sizeof data) != sizeof data || fdatasync(fd) != 0)
			return 1;
		clock_gettime(CLOCK_MONOTONIC, &b);
		took[i] = (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
	}
	unlink(path);
	qsort(took, (size_t)count, sizeof *took, by_value);
	printf("%.0f %.0f %.0f\n", took[count / 2], took[0], took[count * 9 / 10]);
	return 0;
}
