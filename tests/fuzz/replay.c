/* Runs the kept corpus through a fuzz entry with any compiler: each file named, and each file of a folder named. Twice,
 * to catch state left over from the run before. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");
	if (!f)
		return -1;
	size_t len = fread(data, 1, sizeof data, f);
	fclose(f);
	for (int twice = 0; twice < 2; twice++)
		LLVMFuzzerTestOneInput(data, len);
	return 0;
}

int main(int argc, char **argv)
{
	int inputs = 0;
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		if (!folder) {
			if (replay(argv[i]) != 0)
				return 1;
			inputs++;
			continue;
		}
		for (struct dirent *entry; (entry = readdir(folder));) {
			char path[PATH_MAX];
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			if (replay(path) == 0)
				inputs++;
		}
		closedir(folder);
	}
	printf("%d inputs replayed\n", inputs);
	return inputs ? 0 : 1;
}
