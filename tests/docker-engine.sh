# shellcheck shell=bash
# Starts a docker engine by hand and tries everything people do with docker and a registry. Two scripts use it:
# clients/10-docker.sh with Debian's engine (20.10) and clients/11-docker-current.sh with the newest one.

# An engine of our own: own directories, own socket, no bridge and no firewall rules on the machine that runs the tests.
start_dockerd() { # program [arguments…]
  local program=$1
  shift
  mkdir -p "$WORK/docker"
  # The newest engine refuses Debian's old command line unless the least API version is lowered.
  DOCKER_MIN_API_VERSION=1.24 "$program" --data-root "$WORK/docker/data" --exec-root "$WORK/docker/exec" \
    --pidfile "$WORK/docker/pid" -H "unix://$WORK/docker/sock" --iptables=false --bridge=none "$@" \
    >"$LOGS/dockerd.log" 2>&1 </dev/null &
  at_end "end_process $! TERM"
  at_end stop_containers
  export DOCKER_HOST=unix://$WORK/docker/sock
  await dockerd docker info >/dev/null
}

# Debian's command line with both engines, also where another docker is earlier in PATH. (The newest one cannot be built: the Go
# module proxy lacks one of the modules it requires.)
docker() { command /usr/bin/docker "$@"; }

stop_containers() {
  local running
  running=$(docker ps -q)
  # shellcheck disable=SC2086 # several ids
  [ -z "$running" ] || docker kill $running >/dev/null
}

login() { # registry
  docker login -u "$USERNAME" --password-stdin "$1" <<<"$PASSWORD"
}

logs_in() {
  contains "$(login "$HTTP" 2>&1)" "Login Succeeded"
}

wrong_password() {
  local said
  said=$(refused docker login -u "$USERNAME" -p wrong "$HTTP" 2>&1)
  contains "${said,,}" unauthorized
}

# A base image from nothing but busybox, then one on top of it with a step that runs.
builds() {
  mkdir -p "$WORK/base"
  cp "$BUSYBOX" "$WORK/base/busybox"
  cat >"$WORK/base/Dockerfile" <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
END
  cat >"$WORK/Dockerfile.app" <<END
FROM $HTTP/base:1
RUN echo "built on the base" > /greeting
CMD ["cat", "/greeting"]
END
  docker build -q --network none -t "$HTTP/base:1" "$WORK/base"
  docker push -q "$HTTP/base:1"
  docker rmi "$HTTP/base:1"
  # The base is gone from the engine, so FROM has to pull it.
  docker build -q --network none --pull -t "$HTTP/team/app:1" -f "$WORK/Dockerfile.app" "$WORK/base"
}

pushes_and_pulls() {
  docker push "$HTTP/team/app:1" | tee "$WORK/push"
  docker rmi "$HTTP/team/app:1"
  docker pull "$HTTP/team/app:1" | tee "$WORK/pull"
  # What docker says it pushed, what it says it pulled and what the registry serves are one digest.
  local pushed pulled
  pushed=$(grep -o 'sha256:[0-9a-f]\{64\}' "$WORK/push")
  pulled=$(sed -n 's/^Digest: //p' "$WORK/pull")
  equal "$pulled" "$pushed" "pulled digest"
  equal "$(fetch HEAD /v2/team/app/manifests/1 -H "Accept: $MANIFESTS")" 200
  equal "$(header docker-content-digest)" "$pushed" "digest served"
  equal "$(docker run --rm --network none "$HTTP/team/app:1")" "built on the base"
}

pulls_by_digest() {
  local digest
  digest=$(grep -o 'sha256:[0-9a-f]\{64\}' "$WORK/push")
  docker rmi "$HTTP/team/app:1"
  docker pull -q "$HTTP/team/app@$digest"
}

pushes_again() {
  docker tag "$HTTP/team/app@$(grep -o 'sha256:[0-9a-f]\{64\}' "$WORK/push")" "$HTTP/team/app:2"
  contains "$(docker push "$HTTP/team/app:2")" "Layer already exists"
  equal "$(fetch GET /v2/team/app/tags/list)" 200
  equal "$(jq -c .tags "$WORK/body")" '["1","2"]'
}

# Same layers in another repository: docker asks for a cross-repository mount instead of sending them again.
mounts() {
  docker tag "$HTTP/team/app:2" "$HTTP/other/app:1"
  contains "$(docker push "$HTTP/other/app:1")" "Mounted from team/app"
}

thirty_layers() {
  {
    echo "FROM $HTTP/base:1"
    for layer in $(seq 30); do echo "COPY layer-$layer /layers/"; done
  } >"$WORK/base/Dockerfile.layers"
  for layer in $(seq 30); do head -c 20000 /dev/urandom >"$WORK/base/layer-$layer"; done
  docker build -q --network none -t "$HTTP/layers:30" -f "$WORK/base/Dockerfile.layers" "$WORK/base"
  docker push -q "$HTTP/layers:30"
  docker rmi "$HTTP/layers:30"
  docker pull -q "$HTTP/layers:30"
  equal "$(docker run --rm --network none "$HTTP/layers:30" sha256sum /layers/layer-17 | cut -d' ' -f1)" \
    "$(sha256sum "$WORK/base/layer-17" | cut -d' ' -f1)" "a file of layer 17"
}

over_https() {
  login "$HTTPS"
  docker tag "$HTTP/team/app:2" "$HTTPS/secure/app:1"
  docker push -q "$HTTPS/secure/app:1"
  docker rmi "$HTTPS/secure/app:1"
  docker pull -q "$HTTPS/secure/app:1"
}

unknown_tag() {
  local said
  said=$(refused docker pull "$HTTP/team/app:never" 2>&1)
  contains "$said" "not found"
}

logged_out() {
  docker logout "$HTTP"
  local said
  said=$(refused docker push "$HTTP/team/app:2" 2>&1)
  printf '%s\n' "$said" | grep -qiE 'unauthorized|authentication required|no basic auth|denied'
  docker rmi "$HTTP/layers:30"
  refused docker pull "$HTTP/layers:30"
}

docker_cases() {
  check "docker login takes the admin's password" logs_in
  check "docker login refuses a wrong password" wrong_password
  check "docker build pulls its base from the registry" builds
  check "docker push, pull and run, with one digest throughout" pushes_and_pulls
  check "docker pull by digest" pulls_by_digest
  check "a second push sends no layer again" pushes_again
  check "layers are mounted from another repository" mounts
  check "an image of 30 layers" thirty_layers
  check "push and pull over HTTPS" over_https
  check "an unknown tag is said to be unknown" unknown_tag
  check "after docker logout, push and pull are refused" logged_out
}
