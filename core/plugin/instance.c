/* SPDX-License-Identifier: BSD-2-Clause */
#include "instance.h"

#include <string.h>

#include "base/error.h"
#include "plugin/loader.h"
#include "plugin/options.h"

static int
defaults(const struct plugin *p, struct options **options, struct hf_error *err)
{
	struct options_input in = {
		.table = p->desc.options,
		.stride = p->desc.option_size,
		.conf_size = p->desc.conf_size,
		.resolve = true,
	};

	return options_parse(&in, options, NULL, NULL, err);
}

static int
validate(struct instance *i, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (i->plugin->desc.validate == NULL)
		return HF_OK;
	instance_lock(i);
	rc = i->plugin->desc.validate(options_conf(i->options), &why);
	instance_unlock(i);
	rc = instance_status(i, "validate", rc, false, &why);
	if (rc != HF_OK && err != NULL)
		*err = why;
	return rc;
}

int
instance_init(struct instance *i, const struct plugin *p,
    const struct hf_ctx *ctx, struct options *options, struct hf_error *err)
{
	int rc;

	*i = (struct instance){ .plugin = p, .options = options };
	if (ctx != NULL)
		i->ctx = *ctx;
	if (pthread_mutex_init(&i->own, NULL) != 0) {
		options_free(options);
		return error_fail(err, HF_E_NOMEM, "no memory for a lock");
	}
	if (p->desc.threads == HF_THREADS_SERIAL)
		i->mutex = (pthread_mutex_t *)&p->serial;
	else if (p->desc.threads == HF_THREADS_INSTANCE)
		i->mutex = &i->own;
	if (i->options == NULL && (rc = defaults(p, &i->options, err)) != HF_OK)
		goto err0;
	if ((rc = validate(i, err)) != HF_OK)
		goto err0;
	return HF_OK;

err0:
	instance_destroy(i);
	return rc;
}

void
instance_destroy(struct instance *i)
{
	options_free(i->options);
	i->options = NULL;
	(void)pthread_mutex_destroy(&i->own);
}

void
instance_lock(struct instance *i)
{
	if (i->mutex != NULL)
		(void)pthread_mutex_lock(i->mutex);
}

void
instance_unlock(struct instance *i)
{
	if (i->mutex != NULL)
		(void)pthread_mutex_unlock(i->mutex);
}

int
instance_status(const struct instance *i, const char *call, int rc, bool eof,
    struct hf_error *why)
{
	if (rc == HF_OK || (rc == HF_EOF && eof))
		return rc;
	if (rc > HF_OK || rc < HF_E_BUG)
		return error_fail(why, HF_E_BUG,
		    "the plugin %s answered %s() with the status %d, which it "
		    "may not",
		    i->plugin->desc.name, call, rc);
	if (why->status == HF_OK)
		return error_fail(why, rc,
		    "the plugin %s failed in %s() without saying why (%s)",
		    i->plugin->desc.name, call, error_status_name(rc));
	why->status = rc;
	return rc;
}
