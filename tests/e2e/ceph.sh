# SPDX-License-Identifier: BSD-2-Clause
# A real S3 service on loopback: Ceph's RADOS Gateway over one OSD in memory.
# Source it; $WORK is a folder of the test.  All ports are free ones.
#   ceph_start          sets S3_PORT, S3_ENDPOINT, S3_KEY, S3_SECRET, S3_CONF
#   ceph_stop           to be called in the trap; safe before ceph_start
#   ceph_s3 METHOD TARGET [FILE]   a request with this body, quicker than aws
#   ceph_bucket NAME    makes a bucket
#   ceph_admin ...      radosgw-admin
#   ceph_kill9          the gateway alone; ceph_restart: there again
# CEPH_LISTEN: another address than 127.0.0.1, which it must include.
# CEPH_EXTRA: more lines of its configuration; they win.
ceph_pids=
ceph_gateway=
S3_KEY=HOLDFASTTESTKEY00001
S3_SECRET=holdfast+test/secret/that/nobody/may/see
ceph_tools="ceph-mon ceph-mgr ceph-osd ceph radosgw radosgw-admin ceph-authtool monmaptool uuidgen curl python3"

ceph_missing() {
  local tool
  for tool in $ceph_tools; do
    command -v "$tool" >/dev/null 2>&1 || { echo "$tool"; return 0; }
  done
  return 1
}

# free_ports N: each on one line; they were free a moment ago.
free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
for s in held:
    print(s.getsockname()[1])
PY
}

ceph_stop() {
  local pid
  for pid in $ceph_gateway $ceph_pids; do
    # Not who has got the number since.
    [ "$(ps -o ppid= -p "$pid" | tr -d ' ')" = $$ ] && kill -9 "$pid" 2>/dev/null
  done
  for pid in $ceph_gateway $ceph_pids; do wait "$pid" 2>/dev/null; done
  ceph_pids= ceph_gateway=
}

# Until it answers: 60 s.
ceph_wait() {
  local i
  for ((i = 0; i < 300; i++)); do
    curl -fs -o /dev/null "$S3_ENDPOINT" && return 0
    kill -0 "$ceph_gateway" 2>/dev/null || return 1
    sleep 0.2
  done
  return 1
}

ceph_restart() {
  radosgw -f -n client.rgw.a -c "$S3_CONF" >>"$ceph_dir/rgw.out" 2>&1 </dev/null &
  ceph_gateway=$!
  ceph_wait
}

ceph_kill9() {
  kill -9 "$ceph_gateway"
  wait "$ceph_gateway" 2>/dev/null || true
  ceph_gateway=
}

ceph_admin() { radosgw-admin -n client.admin -c "$S3_CONF" "$@" 2>/dev/null; }

ceph_s3() {
  local hash
  hash=$(sha256sum <"${3:-/dev/null}")
  curl -fsS -X "$1" --aws-sigv4 aws:amz:us-east-1:s3 --user "$S3_KEY:$S3_SECRET" \
    -H "x-amz-content-sha256: ${hash%% *}" ${3:+--data-binary "@$3"} "$S3_ENDPOINT/$2"
}

ceph_bucket() { ceph_s3 PUT "$1" >/dev/null; }

ceph_up() {
  local fsid osd keys i a m
  local dir=$ceph_dir
  fsid=$(uuidgen) osd=$(uuidgen) keys=$dir/keyring
  { read -r a; read -r m; read -r S3_PORT; } < <(free_ports 3)
  S3_ENDPOINT=http://127.0.0.1:$S3_PORT
  mkdir -p "$dir/mon" "$dir/osd" "$dir/mgr" "$dir/rgw"
  S3_CONF=$dir/ceph.conf
  cat >"$S3_CONF" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$a,v1:127.0.0.1:$m]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = $keys
mon data = $dir/mon
mgr data = $dir/mgr
osd data = $dir/osd
rgw data = $dir/rgw
run dir = $dir
log file = $dir/\$name.log
admin socket = $dir/\$name.asok
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
rgw frontends = beast endpoint=${CEPH_LISTEN:-127.0.0.1}:$S3_PORT
rgw thread pool size = 64
${CEPH_EXTRA:-}
CONF
  ceph-authtool -C "$keys" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' &&
    ceph-authtool "$keys" --gen-key -n mon. --cap mon 'allow *' &&
    ceph-authtool "$keys" --gen-key -n mgr.x --cap mon 'allow profile mgr' --cap osd 'allow *' &&
    ceph-authtool "$keys" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd' &&
    ceph-authtool "$keys" --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw' &&
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$a,v1:127.0.0.1:$m]" "$dir/monmap" &&
    ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$keys" -c "$S3_CONF" || return 1
  ceph-mon -f -i a -c "$S3_CONF" </dev/null &
  ceph_pids="$ceph_pids $!"
  ceph-mgr -f -i x -c "$S3_CONF" </dev/null &
  ceph_pids="$ceph_pids $!"
  ceph -c "$S3_CONF" --connect-timeout 60 osd new "$osd" 0 -i /dev/null || return 1
  ceph-osd -i 0 --mkfs --osd-uuid "$osd" -c "$S3_CONF" || return 1
  ceph-osd -f -i 0 -c "$S3_CONF" </dev/null &
  ceph_pids="$ceph_pids $!"
  ceph_restart &&
    ceph_admin user create --uid=test --display-name=test --access-key="$S3_KEY" --secret="$S3_SECRET"
}

ceph_start() {
  ceph_dir=$WORK/ceph
  mkdir -p "$ceph_dir"
  ceph_up >"$ceph_dir/start.log" 2>&1 || {
    tail -n 20 "$ceph_dir/start.log" "$ceph_dir"/*.out >&2
    return 1
  }
}
