#!/usr/bin/env bash
# podman: login, build, push, pull, run and manifest lists, over HTTP and over HTTPS with the server's own authority.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
mkdir -p "$WORK/certs"
cp "$CA" "$WORK/certs/ca.crt"

# Storage of our own; vfs because it needs nothing from the kernel; cgroupfs because there may be no systemd.
podman() {
  command podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs --cgroup-manager cgroupfs \
    --events-backend file --runtime runc "$@"
}

login() {
  contains "$(podman login --tls-verify=false -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD")" "Login Succeeded"
  contains "$(podman login --cert-dir "$WORK/certs" -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD2")" "Login Succeeded"
}

wrong_password() {
  contains "$(refused podman login --tls-verify=false -u "$USERNAME" -p wrong "$HTTP" 2>&1)" "invalid username/password"
}

# Without the authority's certificate, podman must not trust the server: this is what makes the HTTPS cases mean something.
unknown_authority() {
  contains "$(refused podman login -u "$USERNAME" -p "$PASSWORD" "$HTTPS" 2>&1)" "x509"
}

builds() {
  cp "$BUSYBOX" "$WORK/busybox"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "built by podman"]\n' >"$WORK/Dockerfile"
  podman build --isolation chroot -q -t "$HTTP/podman/app:1" "$WORK"
}

pushes_and_pulls() {
  podman push -q --tls-verify=false --digestfile "$WORK/digest" "$HTTP/podman/app:1"
  podman rmi "$HTTP/podman/app:1"
  podman pull -q --tls-verify=false "$HTTP/podman/app:1"
  equal "$(podman image inspect --format '{{.Digest}}' "$HTTP/podman/app:1")" "$(cat "$WORK/digest")" "pulled digest"
}

runs() {
  equal "$(podman run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$HTTP/podman/app:1")" "built by podman"
}

over_https() {
  podman push -q --cert-dir "$WORK/certs" "$HTTP/podman/app:1" "$HTTPS/podman/secure:1"
  podman rmi -a -f
  podman pull -q --cert-dir "$WORK/certs" "$HTTPS/podman/secure:1"
}

docker_format() {
  podman push -q --tls-verify=false --format v2s2 "$HTTPS/podman/secure:1" "$HTTP/podman/v2s2:1"
  equal "$(fetch GET /v2/podman/v2s2/manifests/1 -H "Accept: $MANIFESTS")" 200
  equal "$(jq -r .mediaType "$WORK/body")" application/vnd.docker.distribution.manifest.v2+json
}

manifest_list() {
  podman manifest create many
  podman manifest add --arch amd64 --tls-verify=false many "docker://$HTTP/podman/app:1"
  podman manifest add --arch arm64 --tls-verify=false many "docker://$HTTP/podman/v2s2:1"
  podman manifest push --all --tls-verify=false many "docker://$HTTP/podman/many:1"
  equal "$(fetch GET /v2/podman/many/manifests/1 -H "Accept: $MANIFESTS")" 200
  equal "$(jq -c '[.manifests[].platform.architecture]' "$WORK/body")" '["amd64","arm64"]'
}

searches() {
  podman search --tls-verify=false --list-tags "$HTTP/podman/app" | grep -Eq 'podman/app +1$'
}

logged_out() {
  podman logout "$HTTP"
  refused podman pull -q --tls-verify=false "$HTTP/podman/app:1"
}

check "podman login with either password" login
check "podman login refuses a wrong password" wrong_password
check "an unknown authority is not trusted" unknown_authority
check "podman build" builds
check "podman push and pull, with one digest" pushes_and_pulls
check "podman run" runs
check "push and pull over HTTPS" over_https
check "push in docker's format" docker_format
check "podman manifest push of two platforms" manifest_list
check "podman search lists tags" searches
check "after podman logout, pull is refused" logged_out
