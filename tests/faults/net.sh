# SPDX-License-Identifier: BSD-2-Clause
# A network of its own for Holdfast, that can be cut without a word to either
# side; the servers stay outside.  Source it after pg.sh, before pg_start.
#   $net.1       the servers' address, for PG_LISTEN and conninfos
#   $inside      a process that is in there, for nsenter -t $inside -n
need ip unshare nsenter
[ "$(id -u)" -eq 0 ] || { echo 'skipped: only root can make a network'; checks=1; exit 77; }

unshare -n sleep 36000 &
inside=$!
children="$children $inside"
link=hf$((RANDOM % 10000))
net=10.$((200 + RANDOM % 50)).$((RANDOM % 250))
for ((i = 0; i < 100; i++)); do
  [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/self/ns/net)" ] && break
  sleep 0.02
done
ip link add "${link}a" type veth peer name "${link}b" || fail 'no veth'
net_down() { ip link del "${link}a" 2>/dev/null; }
at_exit() { net_down; }
ip link set "${link}b" netns "$inside"
ip addr add "$net.1/24" dev "${link}a" && ip link set "${link}a" up || fail 'no address'
nsenter -t "$inside" -n sh -c "ip addr add $net.2/24 dev ${link}b && ip link set ${link}b up && ip link set lo up" || fail 'no address inside'

# Each side goes on sending, to a card that nobody has.
nobody=02:00:00:00:00:01
cut_off() {
  ip neigh replace "$net.2" lladdr "$nobody" nud permanent dev "${link}a" &&
    nsenter -t "$inside" -n ip neigh replace "$net.1" lladdr "$nobody" nud permanent dev "${link}b" || fail 'the network is not cut'
}
# mend NAME: it is back when a connection can be made: addresses are looked up anew.
mend() {
  local i
  ip neigh del "$net.2" dev "${link}a"
  nsenter -t "$inside" -n ip neigh del "$net.1" dev "${link}b"
  for ((i = 0; i < 300; i++)); do
    nsenter -t "$inside" -n bash -c "exec 3<>/dev/tcp/$net.1/${pg_port[$1]}" 2>/dev/null && return
    sleep 0.1
  done
  fail 'the network did not come back'
}
