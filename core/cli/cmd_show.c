/* SPDX-License-Identifier: BSD-2-Clause */
/* show PIPELINE [BACKUP] */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/catalog_view.h"
#include "cli/recipe.h"
#include "cli/render.h"
#include "config/config.h"
#include "repo/manifest.h"

static void
line(const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	printf("  %-12s ", name);
	render_word(stdout, RENDER_PLAIN, value);
	printf("\n");
}

static void
print_pairs(const char *title, char *const *pairs)
{
	for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i += 2) {
		printf("  %-12s ", i == 0 ? title : "");
		render_word(stdout, RENDER_PLAIN, pairs[i]);
		printf(" = ");
		render_word(stdout, RENDER_PLAIN, pairs[i + 1]);
		printf("\n");
	}
}

static void
print_head(const struct manifest *m)
{
	char text[200];

	printf("%s  %s\n", m->pipeline, m->id);
	line("kind", m->kind);
	line("parent", m->parent);
	(void)snprintf(text, sizeof text, "%s (%s ago)",
	    render_time(m->started_ms).s, render_age(m->started_ms).s);
	line("started", text);
	line("took", text_duration(m->ended_ms - m->started_ms).s);
	line("host", m->host);
	line("environment", m->environment);
	line("operator", m->operator_name);
	line("program", m->program_version);
	print_pairs("labels", m->labels);
	(void)snprintf(text, sizeof text, "%s raw, %s stored",
	    text_size(manifest_raw_size(m)).s,
	    text_size(manifest_stored_size(m)).s);
	line("size", text);
}

static void
print_copies(
    const struct repo *repo, const struct repo_backup_entry *e, size_t nsinks)
{
	for (size_t i = 0; i < nsinks; i++) {
		const struct repo_copy *c = &e->copies[i];

		printf("  %-12s %s ", i == 0 ? "copies" : "",
		    repo_sink_name(repo, i));
		render_word(stdout,
		    c->state == REPO_COPY_PRESENT ? RENDER_GOOD : RENDER_BAD,
		    catalog_view_state(c->state));
		if (c->check.at_ms != 0) {
			printf(", %s ", c->check.kind);
			render_word(stdout,
			    c->check.passed ? RENDER_GOOD : RENDER_BAD,
			    c->check.passed ? "passed" : "FAILED");
			printf(" %s ago", render_age(c->check.at_ms).s);
		}
		if (c->proved.at_ms != 0)
			printf(", %s %s %s ago", c->proved.kind,
			    c->proved.passed ? "passed" : "FAILED",
			    render_age(c->proved.at_ms).s);
		if (c->check.at_ms != 0 && !c->check.passed) {
			printf(": ");
			render_word(stdout, RENDER_PLAIN, c->check.detail);
		}
		if (c->lacks[0] != '\0') {
			printf(", ");
			render_word(
			    stdout, RENDER_BAD, catalog_view_trouble(c));
			printf(" (%s)", c->lacks);
		}
		printf("\n");
	}
}

static void
print_object(const struct manifest_object *o)
{
	printf("    ");
	render_word(stdout, RENDER_PLAIN, o->name);
	printf("\n      raw    %s  sha256 %s\n", text_size(o->raw_size).s,
	    o->raw_sha256);
	printf("      stored %s  sha256 %s\n", text_size(o->stored_size).s,
	    o->stored_sha256);
	printf("      key    %s", o->key);
	for (size_t i = 0; i < o->nfilters; i++)
		printf("%s%s", i == 0 ? "  (" : ", ", o->filters[i].type);
	printf("%s\n", o->nfilters == 0 ? "" : ")");
}

static void
print_sources(const struct manifest *m)
{
	for (size_t s = 0; s < m->nsources; s++) {
		const struct manifest_source *src = &m->sources[s];

		printf("\nSource %s (%s %s)%s\n", src->name, src->engine,
		    src->engine_version == NULL ? "" : src->engine_version,
		    src->incremental ? ", incremental" : "");
		print_pairs("facts", src->facts);
		for (size_t i = 0; i < src->nobjects; i++)
			print_object(&src->objects[i]);
	}
	for (size_t i = 0; i < m->nchecks; i++) {
		const struct manifest_check *c = &m->checks[i];

		printf("%s  %s%s%s: ", i == 0 ? "\nChecks\n" : "",
		    c->source == NULL ? "" : c->source,
		    c->source == NULL ? "" : " ", c->check);
		render_word(stdout,
		    c->verdict == HF_FAIL ? RENDER_BAD : RENDER_PLAIN,
		    c->result);
		printf("\n");
	}
}

/* The manifest of a backup in the catalogue, from this sink if it has one. */
static const struct manifest *
find_manifest(const struct repo_catalog *catalog, const char *id, size_t *sink)
{
	for (size_t i = 0; i < catalog->n; i++) {
		const struct repo_backup_entry *e = &catalog->entries[i];

		if (strcmp(e->id, id) != 0)
			continue;
		if (e->copies[*sink].manifest != NULL)
			return e->copies[*sink].manifest;
		return catalog_view_manifest(e, catalog->nsinks, sink);
	}
	return NULL;
}

/* The full one, and each increment on it, in the order of putting them
 * together. */
struct recipes {
	const struct manifest **manifests; /* the newest first */
	size_t *sinks, n;
	const char *missing; /* an id, or NULL */
};

static bool
collect(struct recipes *r, const struct repo_catalog *catalog,
    const struct manifest *m, size_t sink)
{
	r->manifests = calloc(catalog->n + 1, sizeof(const struct manifest *));
	r->sinks = calloc(catalog->n + 1, sizeof *r->sinks);
	if (r->manifests == NULL || r->sinks == NULL)
		return false;
	/* Each is in the catalogue once: a parent is older by its id. */
	while (m != NULL && r->n < catalog->n) {
		r->manifests[r->n] = m;
		r->sinks[r->n++] = sink;
		if (m->parent == NULL)
			return true;
		r->missing = m->parent;
		m = find_manifest(catalog, m->parent, &sink);
		if (m != NULL)
			r->missing = NULL;
	}
	return true;
}

static void
print_chain(struct cli *cli, const struct repo *repo, const struct recipes *r)
{
	printf("\nRestore by hand needs all of, in this order:\n");
	if (r->missing != NULL)
		printf("    %s, which is MISSING: the others are worth nothing "
		       "without it\n",
		    r->missing);
	for (size_t i = r->n; i > 0; i--)
		printf("    %s\n", r->manifests[i - 1]->id);
	for (size_t i = r->n; i > 0; i--) {
		const struct manifest *m = r->manifests[i - 1];
		char into[64];

		(void)snprintf(into, sizeof into, "/tmp/%s", m->id);
		if (recipe_print(cli->config,
			config_sink(
			    cli->config, repo_sink_name(repo, r->sinks[i - 1])),
			m, into, stdout, &cli->err) != HF_OK)
			return;
	}
	printf("\n    # then put the %zu together, in that order, with the "
	       "database's own tool\n",
	    r->n);
}

static void
print_recipe(struct cli *cli, const struct repo *repo,
    const struct repo_catalog *catalog, const struct manifest *m, size_t sink)
{
	struct recipes r = { 0 };

	if (m->parent == NULL)
		(void)recipe_print(cli->config,
		    config_sink(cli->config, repo_sink_name(repo, sink)), m,
		    "/tmp", stdout, &cli->err);
	else if (collect(&r, catalog, m, sink))
		print_chain(cli, repo, &r);
	else
		error_fail(&cli->err, HF_E_NOMEM, "no memory for the recipe");
	free(r.manifests);
	free(r.sinks);
}

static void
print_backup(struct cli *cli, const struct repo *repo,
    const struct repo_catalog *catalog, const struct repo_backup_entry *e)
{
	size_t sink = 0;
	const struct manifest *m =
	    catalog_view_manifest(e, catalog->nsinks, &sink);

	if (cli->json) {
		json_t *doc = NULL;

		if (manifest_to_json(m, &doc, &cli->err) == HF_OK)
			(void)render_json(doc, stdout, &cli->err);
		return;
	}
	print_head(m);
	print_copies(repo, e, catalog->nsinks);
	print_sources(m);
	printf("\nWith Holdfast:\n    holdfast restore %s --backup %s --to "
	       "PLACE\n",
	    m->pipeline, m->id);
	print_recipe(cli, repo, catalog, m, sink);
}

int
cli_show(struct cli *cli)
{
	const char *selector = args_operands(cli->args)[1];
	const struct repo_backup_entry *e = NULL;
	const struct config_pipeline *p;
	struct repo_catalog catalog;
	struct cli_work work;

	if (selector != NULL && *selector == '\0') {
		error_fail(&cli->err, HF_E_INVALID, "BACKUP needs an id");
		error_hint(&cli->err, "An empty text is no id.");
		return cli_failed(cli);
	}
	if (cli_load_config(cli) != HF_OK)
		return cli_failed(cli);
	p = cli_pick_pipeline(cli, args_operands(cli->args)[0]);
	if (p == NULL)
		return cli_failed(cli);
	memset(&catalog, 0, sizeof catalog);
	if (cli_work_open(&work, cli, p, &cli->err) == HF_OK &&
	    repo_list(work.repo, &catalog, &cli->err) == HF_OK &&
	    repo_pick(&catalog, selector == NULL ? "latest" : selector, 0, &e,
		&cli->err) == HF_OK) {
		if (catalog_view_manifest(e, catalog.nsinks, NULL) == NULL)
			error_fail(&cli->err, HF_E_CORRUPT,
			    "backup %s: no sink has a readable manifest",
			    e->id);
		else
			print_backup(cli, work.repo, &catalog, e);
	}
	repo_catalog_clear(&catalog);
	cli_work_close(&work);
	return cli_failed(cli);
}
