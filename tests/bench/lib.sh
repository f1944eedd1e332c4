# What the benchmarks share; they source it.
# shellcheck shell=bash disable=SC2034,SC2154
#
# A line of times.tsv is one measured command: section, name, wall
# clock, user and system of all its processes, KiB of the largest of them,
# bytes of the result, user and system of the server.  "-" is "does not apply".

# need COMMAND:PACKAGE...: exit 2 and say what to install.
need() {
  local pair missing=()
  for pair in "$@" time:time; do
    type -P "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    echo "bench: needs: apt-get install ${missing[*]}" >&2
    exit 2
  fi
}

# build: the programs as users get them; sets bin, unless it is set.
build() {
  [ -z "${bin:-}" ] || return 0
  cmake --preset release >/dev/null
  cmake --build --preset release >/dev/null
  bin=$PWD/build/release/bin
}

# A benchmark may define these again: what has to be done before and after each
# command, not timed.  after_each may set server_cpu.
server_cpu=-
before_each() { :; }
after_each() { :; }

# What measures a command: it writes "WALL USER SYSTEM KIB" into t.out.
timer=(command time -o t.out -f '%e %U %S %M')

# once NAME SECTION OUT COMMAND: OUT is the file or folder that COMMAND makes,
# "-" when it makes none.  Round 0 is not counted.
once() {
  local name=$1 section=$2 out=$3 command=$4 bytes=-
  [ "$out" = - ] || rm -rf "$out"
  rm -rf state
  before_each
  sync
  "${timer[@]}" bash -c "$command" >log.out 2>&1 || {
    echo "bench: failed: $command" >&2
    cat log.out >&2
    exit 1
  }
  after_each
  [ "$round" -eq 0 ] && return
  [ ! -e "$out" ] || bytes=$(du -sb --apparent-size "$out" | cut -f1)
  awk -v s="$section" -v n="$name" -v b="$bytes" -v server="$server_cpu" \
    '{ print s "\t" n "\t" $1 "\t" $2 + $3 "\t" $4 "\t" b "\t" server }' t.out >>times.tsv
}

# What report and median have in common.
awk_median='
  function median(list,   a, n, i, j, t) {
    n = split(list, a, " ")
    if (a[1] == "-") return "-"
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && a[j-1] + 0 > a[j] + 0; j--) { t = a[j]; a[j] = a[j-1]; a[j-1] = t }
    return n % 2 ? a[(n+1)/2] : (a[n/2] + a[n/2+1]) / 2
  }'

# median SECTION NAME COLUMN
median() {
  awk -F'\t' -v s="$1" -v n="$2" -v c="$3" "$awk_median"'
    $1 == s && $2 == n { list = list " " $c }
    END { print median(list) }' times.tsv
}

# report TITLE SECTION: the median of each figure, and the ratio of the times to
# the first competitor's.
report() {
  printf '\n%s\n\n' "$1"
  awk -F'\t' -v s="$2" "$awk_median"'
    function cell(wide, digits, value, unit) {
      if (value == "-") printf " %" wide "s |", "-"
      else printf " %" wide "." digits "f |", value / unit
    }
    function dashes(n) { return substr("----------------------------------------------------------------", 1, n) }
    $1 == s {
      if (!($2 in w)) order[++k] = $2
      if (length($2) > width) width = length($2)
      if ($7 != "-") server = 1
      w[$2] = w[$2] " " $3; c[$2] = c[$2] " " $4; m[$2] = m[$2] " " $5; b[$2] = $6; v[$2] = v[$2] " " $7
    }
    BEGIN { width = 30 }
    END {
      printf "| %-" width "s | %9s | %9s |", "what", "time s", "cpu s"
      if (server) printf " %9s |", "server s"
      printf " %11s | %11s | %9s |\n", "memory MiB", "size MB", "x time"
      printf "|%s|%s:|%s:|", dashes(width + 2), dashes(10), dashes(10)
      if (server) printf "%s:|", dashes(10)
      printf "%s:|%s:|%s:|\n", dashes(12), dashes(12), dashes(10)
      base = median(w[order[1]])
      for (i = 1; i <= k; i++) {
        n = order[i]
        printf "| %-" width "s |", n
        cell(9, 2, median(w[n]), 1)
        cell(9, 2, median(c[n]), 1)
        if (server) cell(9, 2, median(v[n]), 1)
        cell(11, 1, median(m[n]), 1024)
        cell(11, 1, b[n], 1e6)
        cell(9, 2, median(w[n]), base ? base : 1)
        print ""
      }
    }' times.tsv
}
