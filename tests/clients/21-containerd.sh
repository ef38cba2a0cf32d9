#!/usr/bin/env bash
# Debian's containerd (1.6) and its ctr, whose client does the pulling itself.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"
. "$TESTS/containerd.sh"

CTR=/usr/bin/ctr
start_server
start_containerd /usr/bin/containerd
containerd_cases
