#!/usr/bin/env bash
# Debian's docker engine and command line (20.10), as most people who have docker have it: overlay2 and schema 2 manifests.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"
. "$TESTS/docker-engine.sh"

start_server
start_dockerd /usr/sbin/dockerd
docker_cases
