/* SPDX-License-Identifier: BSD-2-Clause */
/* version, help */
#include "cli.h"

#include "cli/render.h"

int
cli_version(struct cli *cli)
{
	if (!cli->json) {
		printf("holdfast %s (plugin ABI %d.%d)\n", HF_VERSION,
		    HF_ABI_MAJOR, HF_ABI_MINOR);
		return EXIT_DONE;
	}
	return exit_from_status(
	    render_json(json_pack("{s:s, s:s, s:i, s:i}", "program", "holdfast",
			    "version", HF_VERSION, "abi_major", HF_ABI_MAJOR,
			    "abi_minor", HF_ABI_MINOR),
		stdout, &cli->err));
}

int
cli_help(struct cli *cli)
{
	const struct arg_verb *verb = NULL;
	const char *name = args_operands(cli->args)[0], *nearest = NULL;

	if (name != NULL) {
		verb = args_find_verb(cli->table, name, &nearest);
		if (verb == NULL) {
			error_fail(&cli->err, HF_E_INVALID,
			    "unknown command \"%s\"", name);
			if (nearest != NULL)
				error_hint(
				    &cli->err, "Did you mean \"%s\"?", nearest);
			return cli_failed(cli);
		}
	}
	if (cli->json)
		return exit_from_status(render_json(
		    args_help_json(cli->table, verb), stdout, &cli->err));
	args_help(cli->table, verb, stdout);
	return EXIT_DONE;
}
