# shellcheck shell=bash
# What every end-to-end test needs: a Wharf server of its own, named cases, assertions that say what they saw.
#
#   . "$(dirname "$0")/../lib.sh"
#   start_server                       # sets HTTP, HTTPS, CA, DATA, USERNAME, PASSWORD
#   greets() { equal "$(fetch GET /v2/)" 200; }
#   check "the registry answers" greets
#
# A script may run alone (it ends with its own count) or under tests/run (which adds the counts up).
# Only processes that were started here are ended, each by its pid.

set -euo pipefail
shopt -s inherit_errexit

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$TESTS")
TOOLS=${WHARF_TESTS_CACHE:-$HOME/.cache/wharf-tests}/bin # where tests/install puts clients
# shellcheck disable=SC2034 # for the scripts that start one
ENGINE=${TOOLS%/bin}/engine # and the newest container engine
SUITE=$(basename "$0" .sh | sed 's/^[0-9]*-//')
WHARF=$(realpath -m "${WHARF:-$ROOT/target/debug/wharf}")
WORK=$(mktemp -d "${TMPDIR:-/tmp}/wharf-$SUITE.XXXXXX")
TALLY=${WHARF_TESTS_TALLY:-$WORK/tally}
LOGS=${WHARF_TESTS_LOGS:-$ROOT/target/test-logs}/$SUITE
mkdir -p "$WORK/home" "$WORK/run" "$LOGS"

# Clients keep credentials and settings under HOME; none of them may see or change the developer's.
export HOME=$WORK/home XDG_RUNTIME_DIR=$WORK/run XDG_CONFIG_HOME=$WORK/home/.config XDG_CACHE_HOME=$WORK/home/.cache
export DOCKER_CONFIG=$WORK/home/.docker REGISTRY_AUTH_FILE=$WORK/home/auth.json
export PATH=$TOOLS:$PATH:/usr/sbin
unset DOCKER_HOST SSL_CERT_FILE
for name in "${!WHARF_@}"; do # settings of a developer's own server
  [[ $name == WHARF_TESTS_* ]] || unset "$name"
done

# --- cases -----------------------------------------------------------------------------------------------------------

# Runs function $2 (with arguments $3…) as the case named $1 and notes how it went. A case runs in a shell of its own, so
# what it wants to hand to the next one goes into files under $WORK. Clients may hang when a server answers wrongly, so the
# case has a time limit, and a process group of its own that can be ended as a whole.
check() {
  local title=$1 log rc watchdog started=$EPOCHREALTIME
  shift
  log=$LOGS/$(tr -cs 'a-zA-Z0-9' '-' <<<"${title%.}" | sed 's/-$//').log
  set -m
  (
    set +m
    set -eEuo pipefail
    trap 'echo "--- ${BASH_SOURCE[0]##*/}:$LINENO: \"$BASH_COMMAND\" ended with $?" >&2' ERR
    "$@"
  ) >"$log" 2>&1 </dev/null &
  CASE=$!
  (sleep "${CASE_SECONDS:-120}" && echo "--- hung" >>"$log" && kill -TERM -- "-$CASE") 2>/dev/null &
  watchdog=$!
  set +m
  rc=0
  wait "$CASE" || rc=$?
  CASE=
  kill -- "-$watchdog" 2>/dev/null || true
  wait "$watchdog" 2>/dev/null || true
  if [ $rc = 0 ]; then
    printf 'ok      %s: %s (%s s)\n' "$SUITE" "$title" "$(seconds_since "$started")"
    echo "ok $SUITE: $title" >>"$TALLY"
  else
    printf 'FAILED  %s: %s (%s s)\n' "$SUITE" "$title" "$(seconds_since "$started")"
    echo "FAILED $SUITE: $title" >>"$TALLY"
    tail -n 25 "$log" | cut -c1-400 | sed 's/^/        | /'
    if [ -s "$LOGS/server.log" ]; then
      echo "        the server's last lines:"
      tail -n 5 "$LOGS/server.log" | cut -c1-400 | sed 's/^/        | /'
    fi
  fi
}

seconds_since() {
  local microseconds=$((${EPOCHREALTIME/./} - ${1/./}))
  printf '%d.%d' $((microseconds / 1000000)) $((microseconds / 100000 % 10))
}

# --- assertions: each prints what it saw, because that line is all a reader of CI has ----------------------------------

equal() { # got wanted [about]
  [ "$1" = "$2" ] || { echo "${3:-value}: got \"$1\", wanted \"$2\""; return 1; }
}

contains() { # text part
  [[ $1 == *"$2"* ]] || { printf 'wanted "%s" in:\n%s\n' "$2" "$1"; return 1; }
}

lacks() { # text part
  [[ $1 != *"$2"* ]] || { printf 'did not want "%s" in:\n%s\n' "$2" "$1"; return 1; }
}

refused() { # command…: must fail, but not for want of the program
  local rc=0
  "$@" || rc=$?
  case $rc in
    0) echo "should have been refused: $*"; return 1 ;;
    126 | 127) echo "could not be run: $*"; return 1 ;;
  esac
}

# --- the server --------------------------------------------------------------------------------------------------------

# Starts a server on free ports, with an empty data directory unless DATA was set before. Arguments go to `wharf serve`.
start_server() {
  [ -x "$WHARF" ] || { echo "no server to test at $WHARF: run 'cargo build' or set WHARF" >&2; exit 1; }
  DATA=${DATA:-$WORK/data}
  HTTP_PORT=${HTTP_PORT:-$(free_port 20000)}
  HTTPS_PORT=${HTTPS_PORT:-$(free_port 26000)}
  HTTP=localhost:$HTTP_PORT
  HTTPS=localhost:$HTTPS_PORT
  "$WHARF" serve --data "$DATA" --http "127.0.0.1:$HTTP_PORT" --https "127.0.0.1:$HTTPS_PORT" "$@" \
    >>"$LOGS/server.log" 2>&1 </dev/null &
  echo $! >"$WORK/server.pid" # a file, because a case that restarts the server runs in a shell of its own
  await "the server" curl -sf -o /dev/null "http://$HTTP/readyz"
  CA=$DATA/tls/ca.pem
  USERNAME=$(credential .registry.username)
  PASSWORD=$(credential '.registry.passwords[0]')
  PASSWORD2=$(credential '.registry.passwords[1]')
  export HTTP HTTPS CA USERNAME PASSWORD PASSWORD2
}

credential() { jq -er "$1" "$DATA/credentials.json"; }

# Ends the server as an operator does and waits until it is gone; start_server afterwards brings it back on the same data.
stop_server() {
  [ -e "$WORK/server.pid" ] || return 0
  end_process "$(cat "$WORK/server.pid")" TERM
  rm "$WORK/server.pid"
}

# A port nobody listens on among the 6000 from $1, below those that the kernel takes for outgoing connections.
free_port() {
  local port
  while port=$((RANDOM % 6000 + $1)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# Waits up to 30 seconds until a command succeeds; gives up at once when process $! has ended meanwhile.
await() { # what command…
  local what=$1 pid=$! tries
  shift
  for tries in $(seq 300); do
    if "$@" 2>/dev/null; then return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  echo "$what did not come up ($tries tries)" >&2
  tail -n 20 "$LOGS"/*.log >&2 || true
  exit 1
}

end_process() { # pid [signal]
  local pid=$1 tries
  kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
  for tries in $(seq 200); do
    kill -0 "$pid" 2>/dev/null || return 0
    [ "$tries" != 150 ] || kill -KILL "$pid" 2>/dev/null || true
    sleep 0.1
  done
}

# --- plain HTTP ----------------------------------------------------------------------------------------------------------

# What a client accepts that knows all manifests.
MANIFESTS=application/vnd.oci.image.manifest.v1+json,application/vnd.oci.image.index.v1+json
MANIFESTS+=,application/vnd.docker.distribution.manifest.v2+json,application/vnd.docker.distribution.manifest.list.v2+json

# One request as the admin; prints the status. The answer is left in $WORK/body and $WORK/head (header names in lower case).
fetch() { # method path-or-url [curl arguments…]
  fetch_anonymous "$@" -u "$USERNAME:$PASSWORD"
}

fetch_anonymous() {
  local method=$1 url=$2
  shift 2
  [[ $url == http* ]] || url=${BASE:-http://$HTTP}$url
  local how=(-X "$method")
  [ "$method" != HEAD ] || how=(-I)
  : >"$WORK/body"
  curl -sS --cacert "$CA" "${how[@]}" -D "$WORK/head.raw" -o "$WORK/body" -w '%{http_code}' "$@" "$url"
  tr -d '\r' <"$WORK/head.raw" | sed -E 's/^([A-Za-z0-9-]+):/\L\1:/' >"$WORK/head"
}

header() { sed -n "s/^$1: *//p" "$WORK/head" | tail -n 1; } # name in lower case

digest_of() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

# --- the end -------------------------------------------------------------------------------------------------------------

CASE= # the process group of the case that is running
CLEANUPS=()
at_end() { CLEANUPS=("$*" "${CLEANUPS[@]}"); } # last in, first out

finish() {
  local rc=$? cleanup
  trap '' TERM INT
  set +e
  [ -z "$CASE" ] || kill -TERM -- "-$CASE" 2>/dev/null
  for cleanup in "${CLEANUPS[@]}"; do eval "$cleanup"; done
  stop_server
  if [ -z "${WHARF_TESTS_TALLY:-}" ] && [ -s "$TALLY" ]; then
    echo "$(grep -c '^ok ' "$TALLY") passed, $(grep -c '^FAILED ' "$TALLY") failed"
    grep -q '^FAILED ' "$TALLY" && rc=1
  fi
  # What an engine has left mounted would keep its directory.
  awk -v work="$WORK/" 'index($2, work) == 1 {print $2}' /proc/self/mounts | sort -r | while read -r cleanup; do umount -l "$cleanup"; done
  rm -rf "$WORK"
  exit $rc
}
trap finish EXIT
trap 'exit 143' TERM INT
