/* SPDX-License-Identifier: BSD-2-Clause */
#include "answer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "xml.h"

/* One row a code: "" stands for an answer without one (HEAD, proxies), then
 * the HTTP status decides. */
struct meaning {
	long http; /* 0: any */
	const char *code;
	int status;
	bool again;
	const char *hint;
};

static const struct meaning meanings[] = {
	{ 0, "AccessDenied", HF_E_DENIED, false,
	    "The key may not do this.  It needs s3:GetObject, s3:PutObject, "
	    "s3:DeleteObject, s3:AbortMultipartUpload on BUCKET/* and "
	    "s3:ListBucket, s3:ListBucketMultipartUploads on BUCKET." },
	{ 0, "AllAccessDisabled", HF_E_DENIED, false,
	    "The provider has closed this bucket or account." },
	{ 0, "InvalidAccessKeyId", HF_E_DENIED, false,
	    "The service does not know this access key: is it of this "
	    "provider, and still active?" },
	{ 0, "SignatureDoesNotMatch", HF_E_DENIED, false,
	    "The secret key does not belong to the access key, or a proxy "
	    "changes requests." },
	{ 0, "UserSuspended", HF_E_DENIED, false,
	    "The account of this key is suspended." },
	{ 0, "InvalidObjectState", HF_E_DENIED, false,
	    "The object is in an archive: bring it back there first." },
	{ 0, "ExpiredToken", HF_E_DENIED, false,
	    "The session token has expired: renew it." },
	{ 0, "InvalidToken", HF_E_DENIED, false,
	    "The session token does not belong to the access key." },
	{ 0, "RequestTimeTooSkewed", HF_E_DENIED, false,
	    "This machine's clock differs from the service's by more than 15 "
	    "minutes: set it (NTP)." },
	{ 0, "AuthorizationHeaderMalformed", HF_E_DENIED, false,
	    "The region is wrong: set \"region\" to the bucket's." },
	{ 0, "PermanentRedirect", HF_E_INVALID, false,
	    "The bucket is in another region: set \"region\" and "
	    "\"endpoint\" to the bucket's." },
	{ 0, "IllegalLocationConstraintException", HF_E_INVALID, false,
	    "The bucket is in another region: set \"region\" to it." },
	/* Not HF_E_NOTFOUND: a bucket that is gone is no missing object. */
	{ 0, "NoSuchBucket", HF_E_INVALID, false,
	    "The bucket does not exist at this endpoint: create it, or mend "
	    "\"bucket\", \"endpoint\" or \"style\"." },
	{ 0, "NoSuchKey", HF_E_NOTFOUND, false, NULL },
	{ 0, "NoSuchUpload", HF_E_NOTFOUND, false,
	    "Somebody aborted the upload, or a lifecycle rule did." },
	{ 0, "PreconditionFailed", HF_E_EXISTS, false, NULL },
	{ 0, "ConditionalRequestConflict", HF_E_TRANSIENT, true, NULL },
	{ 0, "OperationAborted", HF_E_TRANSIENT, true, NULL },
	{ 0, "InvalidRange", HF_E_INVALID, false, NULL },
	{ 0, "EntityTooLarge", HF_E_NOSPACE, false,
	    "The service takes no object of this size." },
	{ 0, "QuotaExceeded", HF_E_NOSPACE, false,
	    "The quota of the bucket or account is used up." },
	{ 0, "StorageFull", HF_E_NOSPACE, false,
	    "The service has no space left." },
	{ 507, "", HF_E_NOSPACE, false, "The service has no space left." },
	{ 0, "MethodNotAllowed", HF_E_UNSUPPORTED, false,
	    "The service refuses this for the bucket: is \"endpoint\" that of "
	    "S3 (not of its console), or the object under Object Lock?" },
	{ 0, "NotImplemented", HF_E_UNSUPPORTED, false,
	    "The service does not know an option that is set: try without "
	    "storage_class, sse, tags or lock." },
	{ 0, "InvalidRequest", HF_E_INVALID, false,
	    "Does the bucket know what is asked for?  \"lock\" needs a bucket "
	    "made with Object Lock." },
	{ 0, "InvalidStorageClass", HF_E_INVALID, false,
	    "The service does not know this \"storage_class\"." },
	{ 0, "BadDigest", HF_E_TRANSIENT, true, NULL },
	{ 0, "XAmzContentSHA256Mismatch", HF_E_TRANSIENT, true, NULL },
	{ 0, "RequestTimeout", HF_E_TRANSIENT, true, NULL },
	{ 0, "SlowDown", HF_E_TRANSIENT, true,
	    "The service asks for fewer requests: lower \"parallel\" or set "
	    "\"bandwidth\"." },
	{ 0, "ServiceUnavailable", HF_E_TRANSIENT, true, NULL },
	{ 0, "InternalError", HF_E_TRANSIENT, true, NULL },
	{ 404, "", HF_E_NOTFOUND, false, NULL },
	{ 403, "", HF_E_DENIED, false,
	    "The key may not do this, or it is not of this provider." },
	{ 401, "", HF_E_DENIED, false, "The credentials were refused." },
	{ 407, "", HF_E_DENIED, false, "The proxy asks for a password." },
	{ 412, "", HF_E_EXISTS, false, NULL },
	{ 408, "", HF_E_TRANSIENT, true, NULL },
	{ 409, "", HF_E_TRANSIENT, true, NULL },
	{ 429, "", HF_E_TRANSIENT, true, NULL },
	{ 416, "", HF_E_INVALID, false, NULL },
	{ 405, "", HF_E_UNSUPPORTED, false,
	    "Is \"endpoint\" that of S3, and not of its console?" },
	{ 501, "", HF_E_UNSUPPORTED, false, NULL },
	{ 301, "", HF_E_INVALID, false,
	    "The bucket is in another region: set \"region\" and "
	    "\"endpoint\" to the bucket's." },
	{ 307, "", HF_E_INVALID, false,
	    "The bucket is in another region: set \"region\" and "
	    "\"endpoint\" to the bucket's." },
	{ 400, "", HF_E_INVALID, false, NULL },
};

static const struct meaning *
find(long http, const char *code)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		const struct meaning *m = &meanings[i];

		if (strcmp(m->code, code) == 0 &&
		    (m->http == 0 || m->http == http))
			return m;
	}
	return NULL;
}

void
answer_judge(const struct answer *a, const char *method, struct failure *f)
{
	const char *xml = a->body == NULL ? "" : a->body;
	const struct meaning *m;

	*f = (struct failure){ .status = HF_E_IO };
	if (a->len > 0 && strcmp(method, "HEAD") != 0) {
		(void)xml_value(
		    xml, a->len, "Error/Code", f->code, sizeof f->code);
		(void)xml_value(xml, a->len, "Error/Message", f->message,
		    sizeof f->message);
		(void)xml_value(
		    xml, a->len, "Error/Region", f->region, sizeof f->region);
	}
	m = f->code[0] == '\0' ? NULL : find(a->status, f->code);
	if (m == NULL)
		m = find(a->status, "");
	if (m != NULL) {
		f->status = m->status;
		f->again = m->again;
	} else if (a->status >= 500 || a->status == 200) {
		/* 200: an error that came after the status was sent. */
		f->status = HF_E_TRANSIENT;
		f->again = true;
	}
}

static bool
curl_again(int code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_AGAIN:
	case CURLE_SEND_FAIL_REWIND:
		return true;
	default:
		return false;
	}
}

void
answer_judge_curl(int code, const char *text, struct failure *f)
{
	*f = (struct failure){ .again = curl_again(code),
		.network = code == CURLE_COULDNT_CONNECT ||
			   code == CURLE_COULDNT_RESOLVE_HOST ||
			   code == CURLE_COULDNT_RESOLVE_PROXY ||
			   code == CURLE_SSL_CONNECT_ERROR };
	f->status = f->again ? HF_E_TRANSIENT : HF_E_IO;
	if (code == CURLE_ABORTED_BY_CALLBACK)
		f->status = HF_E_CANCELLED;
	if (code == CURLE_OUT_OF_MEMORY)
		f->status = HF_E_NOMEM;
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
	    code == CURLE_SSL_CACERT_BADFILE)
		f->status = HF_E_INVALID;
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		f->status = HF_E_DENIED;
	(void)snprintf(f->code, sizeof f->code, "curl %d", code);
	(void)snprintf(f->message, sizeof f->message, "%s",
	    text != NULL && *text != '\0' ? text
					  : curl_easy_strerror((CURLcode)code));
}

static const char *
curl_hint(const struct failure *f)
{
	int code;

	if (sscanf(f->code, "curl %d", &code) != 1)
		return NULL;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return "The host of \"endpoint\" has no address: is it spelt "
		       "right, and does DNS work here?  With a bucket in the "
		       "host's name, \"style\": \"path\" may help.";
	case CURLE_COULDNT_CONNECT:
		return "Nothing answers there: is the port right, and the "
		       "service up?";
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "The proxy has no address: see \"proxy\" and the "
		       "variables https_proxy, http_proxy.";
	case CURLE_SSL_CONNECT_ERROR:
		return "No TLS is spoken there: is it \"http://\", or another "
		       "port?";
	case CURLE_SSL_CACERT_BADFILE:
		return "Is \"ca_file\" a file of PEM certificates?";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "The service's certificate is not trusted: set "
		       "\"ca_file\" to its authority's.";
	case CURLE_OPERATION_TIMEDOUT:
		return "The service or the network stalls; \"timeout\" and "
		       "\"low_speed_time\" say how long to wait.";
	default:
		return NULL;
	}
}

int
answer_fail(const struct hf_store *s, const struct answer *a,
    const struct failure *f, const char *what, struct hf_error *err)
{
	const struct meaning *m = find(a->status, f->code);
	const char *hint = curl_hint(f);
	char number[24];

	if (m == NULL && a->status != 0)
		m = find(a->status, "");
	if (f->message[0] != '\0')
		(void)H->fail(err, f->status, "%s: %s", what, f->message);
	else if (f->code[0] != '\0')
		(void)H->fail(err, f->status, "%s: %s", what, f->code);
	else
		(void)H->fail(
		    err, f->status, "%s: HTTP status %ld", what, a->status);
	if (a->status != 0) {
		(void)snprintf(number, sizeof number, "%ld", a->status);
		H->fail_note(err, "http", number);
	}
	if (f->code[0] != '\0')
		H->fail_note(err, "code", f->code);
	if (a->request_id[0] != '\0')
		H->fail_note(err, "request-id", a->request_id);
	H->fail_note(err, "host", s->endpoint);
	if (f->region[0] != '\0')
		H->fail_note(err, "region", f->region);
	if (hint == NULL && m != NULL)
		hint = m->hint;
	if (hint != NULL)
		H->fail_note(err, "hint", hint);
	return f->status;
}
