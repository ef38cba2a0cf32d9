# shellcheck shell=bash
# Starts a containerd by hand and tries its client, which is also what Kubernetes' nodes pull with. Used by
# clients/21-containerd.sh with Debian's (1.6) and clients/22-containerd-current.sh with the newest one.

start_containerd() { # program
  mkdir -p "$WORK/containerd"
  printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$WORK/containerd/config.toml"
  "$1" --config "$WORK/containerd/config.toml" --root "$WORK/containerd/root" --state "$WORK/containerd/state" \
    --address "$WORK/containerd/sock" >"$LOGS/containerd.log" 2>&1 </dev/null &
  at_end "end_process $! TERM"
  await containerd ctr version >/dev/null
  make_image "$WORK/image" v1 >"$WORK/image.digest"
  make_index "$WORK/index" v1 >"$WORK/index.digest"
}

ctr() { command "$CTR" --address "$WORK/containerd/sock" "$@"; }

imports() {
  local kind
  for kind in image index; do
    tar -C "$WORK/$kind" -cf "$WORK/$kind.tar" .
    ctr images import --all-platforms --base-name "$HTTP/$kind" "$WORK/$kind.tar"
  done
}

pushes() {
  ctr images push --plain-http --user "$USERNAME:$PASSWORD" "$HTTP/image:v1"
  equal "$(fetch HEAD /v2/image/manifests/v1 -H "Accept: $MANIFESTS")" 200
  equal "$(header docker-content-digest)" "$(cat "$WORK/image.digest")"
}

pulls() {
  ctr images rm --sync "$HTTP/image:v1"
  ctr images pull --plain-http --user "$USERNAME:$PASSWORD" "$HTTP/image:v1"
  contains "$(ctr images ls)" "$(cat "$WORK/image.digest")"
  equal "$(ctr run --rm "$HTTP/image:v1" greets-"$SUITE")" "hello from v1"
}

index() {
  ctr images push --plain-http --user "$USERNAME:$PASSWORD" "$HTTP/index:v1"
  ctr images rm --sync "$HTTP/index:v1"
  ctr images pull --all-platforms --plain-http --user "$USERNAME:$PASSWORD" "$HTTP/index:v1"
  contains "$(ctr images ls)" "linux/amd64,linux/arm64,linux/s390x"
}

# As a node is set up: a directory of hosts with the authority that signs for each.
over_https() {
  mkdir -p "$WORK/hosts/$HTTPS"
  printf 'server = "https://%s"\n[host."https://%s"]\n  ca = "%s"\n' "$HTTPS" "$HTTPS" "$CA" >"$WORK/hosts/$HTTPS/hosts.toml"
  ctr images tag "$HTTP/image:v1" "$HTTPS/secure:v1"
  ctr images push --hosts-dir "$WORK/hosts" --user "$USERNAME:$PASSWORD" "$HTTPS/secure:v1"
  ctr images rm --sync "$HTTPS/secure:v1"
  ctr images pull --hosts-dir "$WORK/hosts" --user "$USERNAME:$PASSWORD" "$HTTPS/secure:v1"
}

by_digest() {
  ctr images pull --plain-http --user "$USERNAME:$PASSWORD" "$HTTP/image@$(cat "$WORK/image.digest")"
}

refuses() {
  refused ctr images pull --plain-http "$HTTP/image:v1"
  refused ctr images push --plain-http --user "$USERNAME:wrong" "$HTTP/image:v1"
  refused ctr images pull --plain-http --user "$USERNAME:$PASSWORD" "$HTTP/image:never"
}

containerd_cases() {
  check "ctr images import" imports
  check "ctr images push" pushes
  check "ctr images pull, and run" pulls
  check "an index with all its platforms" index
  check "push and pull over HTTPS, by hosts.toml" over_https
  check "pull by digest" by_digest
  check "no login, a wrong password and an unknown tag are refused" refuses
}
