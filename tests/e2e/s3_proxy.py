#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A proxy in front of an S3 gateway that breaks what passes, seeded.

  s3_proxy.py --port PORT --to PORT --seed N [--rate 0.2] [--faults a,b,...]
              [--at-most N] [--match TEXT] [--log FILE]
              [--conditions pass|ignore|refuse] [--requests FILE]
              [--ahead SECONDS]

Signatures cover the Host header, so it is passed on as it came: clients sign
for the proxy's host and port, and the gateway checks against what it was sent.

Faults, one a request at most:
  reset_up     the connection is reset after n bytes of the request
  reset_down   after n bytes of the answer
  stall        the answer stops in the middle, until the client goes
  error500     500, 503 SlowDown or 429, the request is not passed on
  late500      500, though the request was done
  complete     200 with an <Error> in its body: CompleteMultipartUpload alone,
               which is not passed on
  truncate     the answer ends early, at a clean end of the connection
  lose         the request is done, its answer dropped
  delay        the answer comes up to a second late
  duplicate    the request is sent twice, the second answer is passed on
               (idempotent requests alone: what networks do not do, but
               proxies that retry)
Every fault that is made is written to the log: "fault METHOD PATH".

--conditions makes it a service that does not know If-None-Match: "ignore" takes
the header away and signs anew (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY),
"refuse" answers 501.  --requests gets a line for every request, "METHOD PATH".
--ahead makes the Date of every answer so much later: what is there looks old.
"""
import argparse
import datetime
import email.utils
import hashlib
import hmac
import os
import random
import re
import socket
import struct
import sys
import threading
import time

args = None
lock = threading.Lock()
chance = None
made = 0
out = sys.stderr
requests = None


class Gone(Exception):
    pass


class Stream:
    """A socket with a buffer."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def more(self):
        try:
            got = self.sock.recv(65536)
        except OSError:
            raise Gone
        if not got:
            raise Gone
        self.data += got

    def head(self):
        while b"\r\n\r\n" not in self.data:
            self.more()
            if len(self.data) > 1 << 20:
                raise Gone
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head

    def take(self, n):
        while len(self.data) < n:
            self.more()
        got, self.data = self.data[:n], self.data[n:]
        return got

    def chunked(self):
        """Raw, as it stands."""
        raw = b""
        while True:
            while b"\r\n" not in self.data:
                self.more()
            line, self.data = self.data.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            raw += line + b"\r\n" + self.take(size + 2)
            if size == 0:
                return raw


def field(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def reset(sock):
    """An RST rather than a FIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


def backend():
    sock = socket.create_connection(("127.0.0.1", args.to), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(head, body):
    """The whole answer of the gateway: (head, raw body)."""
    try:
        sock = backend()
    except OSError:
        raise Gone
    stream = Stream(sock)
    try:
        # What is asked for is here already.
        lines = [l for l in head.split(b"\r\n") if not l.lower().startswith(b"expect:")]
        try:
            sock.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        except OSError:
            raise Gone
        answer = stream.head()
        while answer.startswith(b"HTTP/1.1 100"):
            answer = stream.head()
        status = int(answer.split(b" ", 2)[1])
        length = field(answer, b"content-length")
        if head.startswith(b"HEAD ") or status in (204, 304):
            return answer, b""
        if field(answer, b"transfer-encoding") == b"chunked":
            return answer, stream.chunked()
        return answer, stream.take(int(length or 0))
    finally:
        sock.close()


def canned(status, reason, code):
    body = ('<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>made by the proxy'
            "</Message></Error>" % code).encode()
    return (("HTTP/1.1 %d %s\r\nContent-Type: application/xml\r\nContent-Length: %d"
             % (status, reason, len(body))).encode(), body)


def sign_again(head, names):
    """The head with a signature of these headers alone."""
    scope = re.search(rb"Credential=[^/]+/([^,]+),", field(head, b"authorization")).group(1)
    method, target = head.split(b"\r\n")[0].split(b" ")[:2]
    path, _, query = target.partition(b"?")
    canonical = [method, path, query]
    canonical += [name + b":" + b" ".join(field(head, name).split()) for name in names]
    canonical += [b"", b";".join(names), field(head, b"x-amz-content-sha256")]
    text = b"\n".join([b"AWS4-HMAC-SHA256", field(head, b"x-amz-date"), scope,
                       hashlib.sha256(b"\n".join(canonical)).hexdigest().encode()])
    key = b"AWS4" + os.environb[b"AWS_SECRET_ACCESS_KEY"]
    for part in scope.split(b"/"):
        key = hmac.new(key, part, hashlib.sha256).digest()
    return (b"AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s"
            % (os.environb[b"AWS_ACCESS_KEY_ID"], scope, b";".join(names),
               hmac.new(key, text, hashlib.sha256).hexdigest().encode()))


def without_condition(head):
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"if-none-match:")]
    head = b"\r\n".join(lines)
    signed = re.search(rb"SignedHeaders=([^,]+)", field(head, b"authorization")).group(1).split(b";")
    signature = sign_again(head, [name for name in signed if name != b"if-none-match"])
    return b"\r\n".join(b"Authorization: " + signature if line.lower().startswith(b"authorization:") else line
                        for line in lines)


def later(head):
    lines = head.split(b"\r\n")
    for i, line in enumerate(lines):
        if line.lower().startswith(b"date:"):
            date = email.utils.parsedate_to_datetime(line.split(b":", 1)[1].decode().strip())
            date += datetime.timedelta(seconds=args.ahead)
            lines[i] = b"Date: " + email.utils.format_datetime(date, usegmt=True).encode()
    return b"\r\n".join(lines)


def choose(method, target, length):
    """The fault for this request, with its parameter in [0, 1)."""
    global made
    with lock:
        dice, where, which = chance.random(), chance.random(), chance.random()
        if dice >= args.rate or made >= args.at_most or args.match not in method + " " + target:
            return None, where, which
        able = [f for f in args.faults
                if (f != "complete" or (method == "POST" and "uploadId=" in target))
                and (f != "duplicate" or (method in ("GET", "HEAD") or
                                          (method == "PUT" and "partNumber=" in target)))]
        if not able:
            return None, where, which
        # Stalls take long: fewer of them.
        able += [f for f in able if f not in ("stall", "delay")] * 3
        made += 1
        fault = able[int(which * len(able))]
        out.write("%s %s %s\n" % (fault, method, target))
        out.flush()
        return fault, where, which


def answer_fault(client, fault, where, whole):
    """Send an answer, broken; False: the connection is over."""
    cut = int(where * len(whole))
    if fault == "delay":
        time.sleep(0.1 + where)
        client.sendall(whole)
        return True
    if fault == "stall":
        client.sendall(whole[:cut])
        client.settimeout(30)
        try:
            while client.recv(65536):
                pass
        except OSError:
            pass
    elif fault == "reset_down":
        client.sendall(whole[:cut])
        time.sleep(0.01)
        reset(client)
    elif fault == "truncate":
        client.sendall(whole[:cut])
        client.shutdown(socket.SHUT_RDWR)
    else:
        reset(client)  # lose
    return False


def one(client, stream):
    """One request; False: the connection is over."""
    head = stream.head()
    method, target = head.split(b"\r\n")[0].decode("latin-1").split(" ")[:2]
    length = int(field(head, b"content-length") or 0)
    if requests:
        with lock:
            requests.write("%s %s\n" % (method, target))
            requests.flush()
    fault, where, which = choose(method, target, length)
    if (field(head, b"expect") or b"").lower() == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if fault == "reset_up":
        stream.take(int(where * length))
        reset(client)
        return False
    body = stream.take(length)
    condition = field(head, b"if-none-match") is not None
    if condition and args.conditions == "ignore":
        head = without_condition(head)
    if condition and args.conditions == "refuse":
        answer = canned(501, "Not Implemented", "NotImplemented")
    elif fault == "error500":
        answer = [canned(500, "Internal Server Error", "InternalError"),
                  canned(503, "Slow Down", "SlowDown"),
                  canned(429, "Too Many Requests", "TooManyRequests")][int(where * 3)]
    elif fault == "complete":
        answer = canned(200, "OK", "InternalError")
    else:
        answer = ask(head, body)
        if fault == "duplicate":
            answer = ask(head, body)
        if fault == "late500":
            answer = canned(500, "Internal Server Error", "InternalError")
    if method == "HEAD":
        answer = (answer[0], b"")
    if args.ahead:
        answer = (later(answer[0]), answer[1])
    whole = answer[0] + b"\r\n\r\n" + answer[1]
    if fault in ("delay", "stall", "reset_down", "truncate", "lose"):
        return answer_fault(client, fault, where, whole)
    client.sendall(whole)
    return True


def serve(client):
    stream = Stream(client)
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while one(client, stream):
            pass
    except (Gone, OSError, ValueError):
        pass
    # The gateway's own silence is passed on.
    client.close()


FAULTS = ["reset_up", "reset_down", "stall", "error500", "late500", "complete", "truncate", "lose", "delay",
          "duplicate"]


def main():
    global args, chance, out, requests
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--to", type=int, required=True)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--rate", type=float, default=0.2)
    p.add_argument("--at-most", type=int, default=1 << 30)
    p.add_argument("--faults", type=lambda s: s.split(","), default=FAULTS)
    p.add_argument("--match", default="", help="only requests with this in \"METHOD TARGET\"")
    p.add_argument("--conditions", choices=["pass", "ignore", "refuse"], default="pass")
    p.add_argument("--log")
    p.add_argument("--requests")
    p.add_argument("--ahead", type=int, default=0)
    args = p.parse_args()
    for f in args.faults:
        if f not in FAULTS:
            p.error("no such fault: " + f)
    chance = random.Random(args.seed)
    if args.log:
        out = open(args.log, "w")
    if args.requests:
        requests = open(args.requests, "a")
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", args.port))
    server.listen(256)
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
