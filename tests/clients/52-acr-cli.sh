#!/usr/bin/env bash
# `wharf purge`, and what acr-cli does to a registry: `acr tag list`, `acr manifest list`, `acr purge`.
#
# tests/install gets acr-cli if the Go module proxy has it; WHARF_TESTS_ACR names another one. Without any, its requests are
# played by hand, and what compares the two programs is left out.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

ACR=${WHARF_TESTS_ACR:-$TOOLS/acr}
start_server
cd "$WORK"
HOST=127.0.0.1:$HTTPS_PORT # a name without a dot is completed to one of azurecr.io
export SSL_CERT_FILE=$CA

wharf() { "$WHARF" "$@" --data "$DATA"; }
acr() { "$ACR" "$1" "${@:2}" -r "$HOST" -u "$USERNAME" -p "$PASSWORD"; }
push() { # layout:tag repository:tag
  oras cp --from-oci-layout --to-ca-file "$CA" --to-plain-http=false "$1" "$HTTPS/$2" >/dev/null
}
tags() { [ "$(fetch GET "/v2/$1/tags/list")" = 200 ] && jq -r '.tags // [] | join(" ")' body; }

# Five images, one of them under a locked tag; an index with its images; two images that lost their tags; a signature.
prepares() {
  local number
  oras login --plain-http -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD"
  oras login --ca-file "$CA" --plain-http=false -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD"
  for number in 1 2 3 4 5; do
    make_image "ci-$number" "v$number" >"ci-$number.digest"
    push "ci-$number:v$number" "team/app:ci-$number"
    push "ci-$number:v$number" "team/web:ci-$number"
  done
  make_index many multi >many.digest
  push many:multi team/app:multi
  push many:multi team/app:ci-multi
  for number in 6 7; do
    make_image "ci-$number" "v$number" >"ci-$number.digest"
    push "ci-$number:v$number" team/app:moving
  done
  push ci-1:v1 team/app:moving
  echo '{}' >signature.json
  oras attach --ca-file "$CA" --plain-http=false --artifact-type application/vnd.example.signature "$HTTPS/team/app:multi" \
    signature.json:application/json
  equal "$(fetch PATCH /acr/v1/team/app/_tags/ci-3 -H 'Content-Type: application/json' -d '{"deleteEnabled":false}')" 200
}

# What acr-cli asks for: a token for every repository at once, pages of tags and manifests, one deletion each.
answers_its_requests() {
  local token
  token=$(curl -sS --cacert "$CA" -u "$USERNAME:$PASSWORD" "https://$HOST/oauth2/token?service=$HOST&scope=repository:*:*&scope=registry:catalog:*" |
    jq -r .access_token)
  ask() { curl -sS --cacert "$CA" -H "Authorization: Bearer $token" -D head.raw "$@"; }
  equal "$(ask "https://$HOST/acr/v1/_catalog?last=&n=100" | jq -c .repositories)" '["team/app","team/web"]'
  equal "$(ask "https://$HOST/acr/v1/team/web/_tags?last=&orderby=timedesc" | jq -r '.tags | map(.name) | join(" ")')" "ci-5 ci-4 ci-3 ci-2 ci-1"
  equal "$(ask "https://$HOST/acr/v1/team/web/_tags?last=ci-5" | jq -c .tags)" null "what is behind the last one"
  equal "$(ask "https://$HOST/acr/v1/team/web/_manifests?last=sha256:$(printf 'f%.0s' {1..64})" | jq -c .manifests)" null
  equal "$(ask -X DELETE -o /dev/null -w '%{http_code}' "https://$HOST/acr/v1/team/app/_tags/ci-3")" 405 "a locked tag"
  equal "$(ask -X DELETE -o /dev/null -w '%{http_code}' "https://$HOST/acr/v1/team/app/_tags/absent")" 404
}

dry_run_names_what_would_go() {
  wharf purge --filter "team/app:^ci-" --ago 0m --untagged --dry-run >dry.txt 2>dry.err
  equal "$(head -n 2 dry.txt)" "DRY RUN: The following output shows what WOULD be deleted if the purge command was executed. Nothing is deleted.
Would delete tags for repository: team/app"
  equal "$(grep -c "^Would delete: $HTTPS/team/app:ci-" dry.txt)" 5 "all but the locked one"
  lacks "$(cat dry.txt)" ci-3
  contains "$(cat dry.err)" "Skipped 1 tag or manifest that locks keep"
  # Those of ci-2, ci-4 and ci-5, and the two that lost their tag; the index has another tag.
  equal "$(grep -c "^Would delete: $HTTPS/team/app@sha256:" dry.txt)" 5
  equal "$(tail -n 2 dry.txt)" "Number of tags to be deleted: 5
Number of manifests to be deleted: 5"
  equal "$(tags team/app)" "ci-1 ci-2 ci-3 ci-4 ci-5 ci-multi moving multi"
  wharf purge --filter "team/app:^ci-" --ago 0m --untagged --dry-run --output json >dry.json 2>/dev/null
  equal "$(jq -c '[.dryRun, .deletedTags, .deletedManifests, (.items | length)]' dry.json)" '[true,5,5,10]'
}

wrong_filters_are_refused() {
  local rc filter
  for filter in team/app "a:b:c" "team/app:(" ":x"; do
    rc=0
    wharf purge --filter "$filter" --ago 1d 2>error.txt || rc=$?
    equal $rc 2 "the exit code for $filter"
    contains "$(cat error.txt)" "--filter"
  done
  rc=0
  wharf purge --filter ".*:.*" 2>error.txt || rc=$?
  equal $rc 2
  contains "$(cat error.txt)" "--ago"
  equal "$(tags team/web)" "ci-1 ci-2 ci-3 ci-4 ci-5"
}

# Both programs on the same data, what they say put in order; the names of the hosts differ.
same_dry_run() { # flag…
  acr purge --dry-run "$@" | sed "s|$HOST/|$HTTPS/|" | sort >acr.txt
  wharf purge --dry-run "$@" 2>/dev/null | sort >wharf.txt
  diff acr.txt wharf.txt || { echo "acr purge and wharf purge differ on: $*"; return 1; }
}

both_would_remove_the_same() {
  same_dry_run --filter "team/app:^ci-" --ago 0m
  same_dry_run --filter "team/app:^ci-" --ago 0m --untagged
  same_dry_run --filter "team/app:^ci-" --ago 0m --untagged --include-locked
  same_dry_run --filter ".*:^ci-[1-4]$" --ago 0m --keep 2
  same_dry_run --filter "team/.*:^(?!ci-5)" --filter "team/web:5" --ago 0s --keep 1 --untagged
  same_dry_run --filter "team/app:.*" --ago 1d
  same_dry_run --filter "nothing:.*" --ago 1d
  same_dry_run --untagged-only
  same_dry_run --untagged-only --filter "team/app:.*" --keep 1
}

acr_lists() {
  equal "$(acr tag list --repository team/web | grep -c "$HOST/team/web:ci-")" 5
  equal "$(acr manifest list --repository team/web | grep -c "$HOST/team/web@sha256:")" 5
}

acr_purges() {
  acr purge --filter "team/web:^ci-" --ago 0m --keep 2 --untagged >acr.txt
  equal "$(grep -c "^Deleted $HOST/team/web:ci-" acr.txt)" 3
  contains "$(cat acr.txt)" "Number of deleted tags: 3"
  equal "$(tags team/web)" "ci-4 ci-5"
  fetch PATCH /acr/v1/team/web/_tags/ci-4 -H 'Content-Type: application/json' -d '{"writeEnabled":false}'
  acr purge --filter "team/web:^ci-4" --ago 0m
  equal "$(tags team/web)" "ci-4 ci-5" "a lock"
  acr purge --filter "team/web:^ci-4" --ago 0m --include-locked >acr.txt
  contains "$(cat acr.txt)" "Unlocked $HOST/team/web:ci-4"
  equal "$(tags team/web)" ci-5
  acr tag delete --repository team/web ci-5
  equal "$(tags team/web)" ""
}

wharf_purges() {
  wharf purge --filter "team/app:^ci-" --ago 0m --untagged >purge.txt 2>/dev/null
  # The same lines as the dry run said, in other words.
  sed -n 's/^Would delete: //p' dry.txt | sort >would.txt
  sed -n 's/^Deleted //p' purge.txt | sort >did.txt
  diff would.txt did.txt
  equal "$(tail -n 2 purge.txt)" "Number of deleted tags: 5
Number of deleted manifests: 5"
  sleep 0.5 # the server hears of it
  equal "$(tags team/app)" "ci-3 moving multi"
  equal "$(fetch GET /v2/team/app/manifests/multi -H "Accept: $MANIFESTS")" 200
  equal "$(fetch GET "/v2/team/app/referrers/$(cat many.digest)")" 200
  equal "$(jq '.manifests | length' body)" 1 "a signature stays with what it signs"
  wharf purge --filter "team/app:^ci-" --ago 0m --include-locked | tee purge.txt
  contains "$(cat purge.txt)" "Unlocked $HTTPS/team/app:ci-3"
  wharf verify
}

check "a registry with old and new images is prepared" prepares
check "the requests of acr-cli are answered as it expects" answers_its_requests
check "wharf purge --dry-run names what would go" dry_run_names_what_would_go
check "wharf purge refuses filters that it cannot use" wrong_filters_are_refused
if [ -x "$ACR" ]; then
  check "acr purge --dry-run and wharf purge --dry-run say the same" both_would_remove_the_same
  check "acr tag list, acr manifest list" acr_lists
  check "acr purge, acr tag delete" acr_purges
else
  echo "skipped acr-cli: there is no acr-cli at $ACR"
fi
check "wharf purge" wharf_purges
