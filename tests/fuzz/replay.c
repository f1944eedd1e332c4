/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives every file of the folders that it is called with to a fuzz target,
 * once: what was ever found stays found, in builds without a fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define INPUT_MAX ((size_t)16 << 20)

static void
replay_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX), *exact;
	FILE *f = fopen(path, "rb");
	size_t n;

	if (data == NULL || f == NULL) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, INPUT_MAX, f);
	if (ferror(f) != 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
	/* Exactly as large, so that a sanitizer sees what reads past it. */
	if ((exact = malloc(n == 0 ? 1 : n)) == NULL) {
		perror("malloc");
		exit(1);
	}
	memcpy(exact, data, n);
	free(data);
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static size_t
replay_folder(const char *folder)
{
	struct dirent **list;
	int n = scandir(folder, &list, NULL, alphasort);
	size_t done = 0;

	if (n < 0) {
		perror(folder);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char path[4096];

		if (list[i]->d_name[0] != '.') {
			(void)snprintf(path, sizeof path, "%s/%s", folder,
			    list[i]->d_name);
			replay_file(path);
			done++;
		}
		free(list[i]);
	}
	free(list);
	return done;
}

int
main(int argc, char **argv)
{
	size_t done = 0;

	for (int i = 1; i < argc; i++)
		done += replay_folder(argv[i]);
	printf("%zu inputs\n", done);
	return done > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
