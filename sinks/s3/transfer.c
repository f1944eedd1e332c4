/* SPDX-License-Identifier: BSD-2-Clause */
#include "transfer.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "answer.h"
#include "cloexec.h"
#include "credentials.h"
#include "rate.h"
#include "sign.h"

#define ANSWER_MAX ((size_t)16 << 20) /* of a body kept in memory */
#define SHA256_LEN 32
#define MD5_LEN 16
#define HEADERS_MAX 24
#define CLOCK_CLOSE 60 /* seconds that no service minds */
#define IDLE_MAX 64
#define BLOCK_MIN ((int64_t)16 * 1024)
#define BLOCK_MAX ((int64_t)64 * 1024) /* more is no faster */

struct connections {
	pthread_mutex_t lock; /* a leaf: nothing is called under it */
	CURL *idle[IDLE_MAX];
	size_t nidle;
	int64_t skew; /* seconds to add to our clock */
	bool reached; /* some answer came */
	struct rate rate;
};

struct attempt {
	struct hf_store *store;
	const struct request *request;
	struct answer *answer;
	struct curl_slist *headers;
	size_t sent;
	size_t cap; /* of answer->body, while it grows */
	bool overflow, nomem;
	bool head;                     /* the answer's is whole */
	char hash[2 * SHA256_LEN + 1]; /* of the body */
	char text[CURL_ERROR_SIZE];
};

int
connections_new(
    const struct conf *conf, struct connections **out, struct hf_error *err)
{
	struct connections *c = calloc(1, sizeof *c);

	if (c == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	(void)pthread_mutex_init(&c->lock, NULL);
	rate_init(&c->rate, conf->bandwidth);
	*out = c;
	return HF_OK;
}

void
connections_free(struct connections *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->nidle; i++)
		curl_easy_cleanup(c->idle[i]);
	rate_destroy(&c->rate);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static CURL *
take(struct connections *c, bool *fresh)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->nidle > 0)
		curl = c->idle[--c->nidle];
	pthread_mutex_unlock(&c->lock);
	*fresh = curl == NULL;
	return curl == NULL ? curl_easy_init() : curl;
}

static void
give_back(struct connections *c, CURL *curl)
{
	bool kept = false;

	/* Forgets what points into the attempt; keeps live connections and the
	 * DNS cache. */
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	pthread_mutex_lock(&c->lock);
	if (c->nidle < IDLE_MAX) {
		c->idle[c->nidle++] = curl;
		kept = true;
	}
	pthread_mutex_unlock(&c->lock);
	if (!kept)
		curl_easy_cleanup(curl);
}

static size_t
on_read(char *to, size_t size, size_t n, void *arg)
{
	struct attempt *a = arg;
	size_t left = a->request->body.len - a->sent, want = size * n;

	if (want > left)
		want = left;
	want = rate_take(&a->store->connections->rate, want);
	memcpy(to, (const char *)a->request->body.data + a->sent, want);
	a->sent += want;
	return want;
}

static int
on_seek(void *arg, curl_off_t off, int whence)
{
	struct attempt *a = arg;

	if (whence != SEEK_SET || off < 0 || (size_t)off > a->request->body.len)
		return CURL_SEEKFUNC_FAIL;
	a->sent = (size_t)off;
	return CURL_SEEKFUNC_OK;
}

static bool
grow_body(struct attempt *a, size_t need)
{
	size_t cap = a->cap == 0 ? 4096 : a->cap;
	char *grown;

	while (cap < need)
		cap *= 2;
	if (cap == a->cap)
		return true;
	if ((grown = realloc(a->answer->body, cap)) == NULL) {
		a->nomem = true;
		return false;
	}
	a->answer->body = grown;
	a->cap = cap;
	return true;
}

static size_t
on_write(char *data, size_t size, size_t n, void *arg)
{
	struct attempt *a = arg;
	struct answer *to = a->answer;
	bool wanted =
	    a->request->into != NULL && to->status >= 200 && to->status <= 299;
	size_t most = wanted ? a->request->cap : ANSWER_MAX;

	n *= size;
	rate_wait(&a->store->connections->rate, n);
	if (n > most - to->len) {
		a->overflow = true;
		return 0;
	}
	if (wanted) {
		memcpy((char *)a->request->into + to->len, data, n);
		to->len += n;
		return n;
	}
	if (!grow_body(a, to->len + n + 1))
		return 0;
	memcpy(to->body + to->len, data, n);
	to->len += n;
	to->body[to->len] = '\0';
	return n;
}

/* The value of a header line, without blanks around it; false: another. */
static bool
header(const char *line, size_t len, const char *name, char *value, size_t cap)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	for (line += n + 1, len -= n + 1; len > 0 && *line == ' '; len--)
		line++;
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' ||
			      line[len - 1] == ' '))
		len--;
	if (len >= cap)
		len = cap - 1;
	memcpy(value, line, len);
	value[len] = '\0';
	return true;
}

static void
begin_answer(struct answer *a)
{
	char *body = a->body;

	*a = (struct answer){ .body = body };
	if (body != NULL)
		body[0] = '\0';
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct attempt *at = arg;
	struct answer *a = at->answer;
	char value[256], *slash;

	n *= size;
	if (n > 9 && strncmp(line, "HTTP/", 5) == 0) {
		const char *space = memchr(line, ' ', n);

		/* 100 Continue has a head of its own. */
		begin_answer(a);
		at->head = false;
		if (space != NULL)
			a->status = strtol(space, NULL, 10);
	} else if (*line == '\r' || *line == '\n')
		at->head = true;
	else if (header(line, n, "etag", value, sizeof value))
		(void)snprintf(a->etag, sizeof a->etag, "%.71s", value);
	else if (header(line, n, "content-length", value, sizeof value)) {
		if (a->size == 0)
			a->size = strtoull(value, NULL, 10);
	} else if (header(line, n, "content-range", value, sizeof value)) {
		if ((slash = strchr(value, '/')) != NULL)
			a->size = strtoull(slash + 1, NULL, 10);
	} else if (header(line, n, "last-modified", value, sizeof value))
		a->mtime = (int64_t)curl_getdate(value, NULL);
	else if (header(line, n, "date", value, sizeof value))
		a->date = (int64_t)curl_getdate(value, NULL);
	else if (header(line, n, "x-amz-request-id", value, sizeof value))
		(void)snprintf(
		    a->request_id, sizeof a->request_id, "%.79s", value);
	else if (header(line, n, "x-amz-checksum-sha256", value, sizeof value))
		(void)snprintf(a->checksum_sha256, sizeof a->checksum_sha256,
		    "%.44s", value);
	return n;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct attempt *at = arg;

	(void)a, (void)b, (void)c, (void)d;
	return request_stopped(at->store, at->request);
}

static bool add(struct attempt *a, const char *fmt, ...) HF_PRINTF(2, 3);
static bool
add(struct attempt *a, const char *fmt, ...)
{
	struct curl_slist *grown;
	char *line;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return false;
	if ((grown = curl_slist_append(a->headers, line)) != NULL)
		a->headers = grown;
	OPENSSL_cleanse(line, (size_t)n);
	free(line);
	return grown != NULL;
}

static bool
add_hashes(struct attempt *a)
{
	const struct request *r = a->request;
	const void *data = r->body.data == NULL ? "" : r->body.data;
	unsigned char hash[SHA256_LEN], md5[EVP_MAX_MD_SIZE], text[48];

	if (EVP_Digest(data, r->body.len, hash, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (size_t i = 0; i < SHA256_LEN; i++)
		(void)snprintf(a->hash + 2 * i, 3, "%02x", hash[i]);
	if (!add(a, "x-amz-content-sha256: %s", a->hash))
		return false;
	if (!r->checksum)
		return true;
	(void)EVP_EncodeBlock(text, hash, SHA256_LEN);
	if (!add(a, "x-amz-checksum-sha256: %s", (const char *)text))
		return false;
	/* Object Lock wants a digest, and services that do not know the newer
	 * ones want this. */
	if ((a->store->conf.lock <= 0 && !r->md5) ||
	    EVP_Digest(data, r->body.len, md5, NULL, EVP_md5(), NULL) != 1)
		return true;
	(void)EVP_EncodeBlock(text, md5, MD5_LEN);
	return add(a, "Content-MD5: %s", (const char *)text);
}

int64_t
request_time(struct hf_store *s)
{
	struct connections *c = s->connections;
	int64_t skew;

	pthread_mutex_lock(&c->lock);
	skew = c->skew;
	pthread_mutex_unlock(&c->lock);
	return (int64_t)time(NULL) + skew;
}

bool
transfer_reached(struct hf_store *s)
{
	struct connections *c = s->connections;
	bool reached;

	pthread_mutex_lock(&c->lock);
	reached = c->reached;
	pthread_mutex_unlock(&c->lock);
	return reached;
}

bool
transfer_set_clock(struct hf_store *s, int64_t theirs, int64_t stamp)
{
	struct connections *c = s->connections;
	int64_t skew = theirs - (int64_t)time(NULL), off = theirs - stamp;
	bool news;

	if (off > -CLOCK_CLOSE && off < CLOCK_CLOSE)
		return false;
	pthread_mutex_lock(&c->lock);
	/* Several requests meet it at once. */
	news = skew - c->skew > CLOCK_CLOSE || c->skew - skew > CLOCK_CLOSE;
	c->skew = skew;
	pthread_mutex_unlock(&c->lock);
	if (news)
		H->log(s->ctx, HF_LOG_WARN, "s3.clock",
		    "this machine's clock is %lld s off the service's; "
		    "requests are signed with the service's",
		    (long long)skew);
	return true;
}

/* The URL's parts, as they are sent and signed. */
struct target {
	char host[300];
	char *path; /* to be freed */
	const char *query;
};

static bool
split(const char *url, struct target *t)
{
	const char *host = strstr(url, "://"), *path, *query;
	size_t n;

	host = host == NULL ? url : host + 3;
	n = strcspn(host, "/?");
	path = host + n;
	query = strchr(path, '?');
	t->query = query == NULL ? "" : query + 1;
	if (n >= sizeof t->host)
		return false;
	memcpy(t->host, host, n);
	t->host[n] = '\0';
	t->path = query == path || *path == '\0' ? strdup("/")
		  : query == NULL                ? strdup(path)
				  : strndup(path, (size_t)(query - path));
	return t->path != NULL;
}

/* All that there are so far are signed. */
static bool
add_signature(struct attempt *a, const struct transfer *t, const char *stamp,
    const struct target *target)
{
	const char *lines[HEADERS_MAX];
	char signature[SIGN_MAX];
	struct sign sign = { .method = t->request->method,
		.path = target->path,
		.query = target->query,
		.headers = lines,
		.stamp = stamp,
		.hash = a->hash,
		.region = t->store->region,
		.access_key = t->who->access_key,
		.secret_key = t->who->secret_key };

	for (struct curl_slist *h = a->headers; h != NULL; h = h->next) {
		if (sign.nheaders == HEADERS_MAX)
			return false;
		lines[sign.nheaders++] = h->data;
	}
	return sign_header(&sign, signature) && add(a, "%s", signature);
}

static bool
add_headers(struct attempt *a, struct transfer *t)
{
	const char *const *h = a->request->headers;
	struct target target = { .path = NULL };
	char stamp[32];
	struct tm tm;
	time_t now;
	bool good;

	t->stamp = request_time(t->store);
	now = (time_t)t->stamp;
	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	good = split(t->url, &target) && add(a, "Host: %s", target.host) &&
	       add_hashes(a) && add(a, "X-Amz-Date: %s", stamp);
	if (t->who->session_token[0] != '\0')
		good = good && add(a, "x-amz-security-token: %s",
				   t->who->session_token);
	for (; h != NULL && *h != NULL; h++)
		good = good && add(a, "%s", *h);
	good = good && add_signature(a, t, stamp, &target);
	free(target.path);
	return good;
}

/* A session token is among them. */
static void
free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *h = headers; h != NULL; h = h->next)
		OPENSSL_cleanse(h->data, strlen(h->data));
	curl_slist_free_all(headers);
}

/* A child of the program must not inherit a connection. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	(void)arg, (void)purpose;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Small where bytes are counted: a block is what one wait is for. */
static long
block_size(const struct conf *conf)
{
	int64_t n = conf->bandwidth / 10;

	if (n <= 0 || n > BLOCK_MAX)
		return (long)BLOCK_MAX;
	return (long)(n < BLOCK_MIN ? BLOCK_MIN : n);
}

static void
set_place(CURL *curl, const struct conf *conf, int64_t left)
{
	const char *proxy = conf->proxy;

	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "holdfast");
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
	    (long)((conf->low_speed_time + 999) / 1000));
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	/* No answer is waited for long. */
	curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 300L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, block_size(conf));
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, block_size(conf));
	if (conf->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, conf->ca_file);
	if (conf->insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (proxy != NULL)
		curl_easy_setopt(curl, CURLOPT_PROXY, proxy);
}

static void
set_method(CURL *curl, struct attempt *a)
{
	const struct request *r = a->request;

	if (strcmp(r->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else if (strcmp(r->method, "PUT") == 0 ||
		   strcmp(r->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
		curl_easy_setopt(
		    curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body.len);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(curl, CURLOPT_READDATA, a);
		curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(curl, CURLOPT_SEEKDATA, a);
	} else {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
	}
}

static CURLcode
perform(CURL *curl, struct attempt *a, struct transfer *t)
{
	int64_t left = t->deadline - request_clock();

	if (!add_headers(a, t))
		return CURLE_OUT_OF_MEMORY;
	set_place(curl, &t->store->conf, left < 1 ? 1 : left);
	set_method(curl, a);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, a->text);
	curl_easy_setopt(curl, CURLOPT_URL, t->url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, a->headers);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, a);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	return curl_easy_perform(curl);
}

static bool
judge(struct attempt *a, CURLcode code, long connect, struct failure *f)
{
	struct connections *c = a->store->connections;
	struct answer *answer = a->answer;

	if (a->nomem)
		code = CURLE_OUT_OF_MEMORY;
	if (a->overflow) {
		*f = (struct failure){ .status = HF_E_CORRUPT };
		(void)snprintf(f->message, sizeof f->message,
		    "the service sent more than was asked for");
		return false;
	}
	if (code != CURLE_OK && connect >= 400 && connect <= 499) {
		answer->status = connect; /* a proxy's */
		answer_judge(answer, "HEAD", f);
		return false;
	}
	if (code != CURLE_OK) {
		answer_judge_curl((int)code, a->text, f);
		return false;
	}
	/* To libcurl an answer that is cut there ends well. */
	if (!a->head) {
		answer_judge_curl(
		    CURLE_PARTIAL_FILE, "the answer ended within its head", f);
		return false;
	}
	pthread_mutex_lock(&c->lock);
	c->reached = true;
	pthread_mutex_unlock(&c->lock);
	/* An error after the status was sent: CompleteMultipartUpload and
	 * copies do that. */
	if (answer->status >= 200 && answer->status <= 299 &&
	    (answer->body == NULL || strstr(answer->body, "<Error") == NULL))
		return true;
	answer_judge(answer, a->request->method, f);
	return false;
}

bool
transfer_once(struct transfer *t, struct answer *answer, struct failure *f)
{
	struct attempt a = {
		.store = t->store, .request = t->request, .answer = answer
	};
	bool fresh, good;
	CURL *curl = take(t->store->connections, &fresh);
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long connect = 0, connects = 0;

	answer_clear(answer);
	if (curl != NULL) {
		code = perform(curl, &a, t);
		(void)curl_easy_getinfo(
		    curl, CURLINFO_HTTP_CONNECTCODE, &connect);
		(void)curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
	}
	if (fresh)
		cloexec_sockets();
	/* When a connection that it kept dies, libcurl makes a new one and
	 * sends once more, without a word. */
	t->sent += !fresh && connects > 0 ? 2 : 1;
	good = judge(&a, code, connect, f);
	if (curl != NULL)
		give_back(t->store->connections, curl);
	free_headers(a.headers);
	return good;
}
