#!/usr/bin/env bash
# The newest containerd and its ctr, where the daemon does the pulling (the transfer service).
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"
. "$TESTS/containerd.sh"

CTR=$ENGINE/ctr
start_server
PATH=$ENGINE:$PATH # its own shim and runc
start_containerd "$ENGINE/containerd"
containerd_cases
