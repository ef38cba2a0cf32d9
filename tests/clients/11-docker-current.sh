#!/usr/bin/env bash
# The newest docker engine: images live in containerd's store and are pushed by containerd's client as OCI manifests.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"
. "$TESTS/docker-engine.sh"

start_server
export DOCKER_BUILDKIT=1 PATH=$ENGINE:$PATH # its own containerd and runc, not Debian's
start_dockerd "$ENGINE/dockerd" --ip6tables=false
docker_cases
