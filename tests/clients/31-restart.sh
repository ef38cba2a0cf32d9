#!/usr/bin/env bash
# What was acknowledged survives: a restart in the middle of an upload, and a server that is killed.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
make_image "$WORK/image" v1 >"$WORK/image.digest"
head -c 3000000 /dev/urandom >blob
export SSL_CERT_FILE=$CA

absolute() { case $1 in http*) echo "$1" ;; *) echo "http://$HTTP$1" ;; esac; }

restart() {
  stop_server
  start_server
}

prepares() {
  crane auth login -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD"
  crane push image "$HTTP/kept/app:v1"
}

stops_and_starts() {
  cp "$DATA/credentials.json" "$CA" .
  restart
  crane validate --remote "$HTTP/kept/app:v1"
  # The same credentials and the same authority: nobody has to log in again.
  cmp credentials.json "$DATA/credentials.json"
  cmp ca.pem "$CA"
}

resumes() {
  local location
  equal "$(fetch POST /v2/resumed/app/blobs/uploads/)" 202
  equal "$(fetch PATCH "$(absolute "$(header location)")" --data-binary @- -H 'Content-Range: 0-1999999' \
    -H 'Content-Type: application/octet-stream' < <(head -c 2000000 blob))" 202
  location=$(absolute "$(header location)")
  restart
  equal "$(fetch GET "$location")" 204
  equal "$(header range)" 0-1999999
  equal "$(fetch PATCH "$location" --data-binary @- -H 'Content-Range: 2000000-2999999' \
    -H 'Content-Type: application/octet-stream' < <(tail -c 1000000 blob))" 202
  location=$(absolute "$(header location)")
  case $location in *\?*) location+="&" ;; *) location+="?" ;; esac
  equal "$(fetch PUT "${location}digest=$(digest_of blob)" -H 'Content-Length: 0')" 201
  equal "$(fetch GET "/v2/resumed/app/blobs/$(digest_of blob)")" 200
  cmp body blob
}

# Killed without warning the moment the last answer is in.
survives_kill() {
  local round
  for round in 1 2 3; do
    head -c 3000000 /dev/urandom >random
    tar -cf layer.tar random
    crane append --oci-empty-base --new_layer layer.tar --new_tag "$HTTP/killed/app:$round"
    end_process "$(cat server.pid)" KILL
    start_server
    crane validate --remote "$HTTP/killed/app:$round"
  done
  equal "$(crane ls "$HTTP/killed/app" | tr '\n' ' ')" "1 2 3 "
  crane validate --remote "$HTTP/kept/app:v1"
}

# A second server on the same data would corrupt it; it has to say so and leave.
one_per_directory() {
  refused timeout 20 "$WHARF" serve --data "$DATA" --http "127.0.0.1:$(free_port 20000)" --https "127.0.0.1:$(free_port 26000)"
  equal "$(fetch GET /v2/)" 200 "the first server"
}

check "push before the restart" prepares
check "a stopped and started server has everything and the same credentials" stops_and_starts
check "an upload goes on after a restart" resumes
check "what was acknowledged survives kill -9" survives_kill
check "a second server on the same data is refused" one_per_directory
