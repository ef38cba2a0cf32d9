# shellcheck shell=bash
# Makes content of any shape and takes it through the registry. Content is kept as lists of what was made, in order:
#   blobs:      digest file
#   manifests:  digest file media-type tag-or-dash subject-or-dash artifact-type-or-dash

OCI=application/vnd.oci.image
DOCKERS=application/vnd.docker

# Content that follows belongs to a new repository; without tags until some are asked for.
start_content() { # name
  REPOSITORY=data/$ALGORITHM/$1
  rm -rf content
  mkdir content
  : >blobs
  : >manifests
}

# The digest of a file in the algorithm in use.
digest() { echo "$ALGORITHM:$("${ALGORITHM}sum" "$1" | cut -d' ' -f1)"; }

# Names a new file after what will be in it: unique, also in the subshells where parts are made.
new_file() { mktemp "$WORK/content/XXXXXXXX"; }

descriptor() { # file media-type
  jq -nc --arg m "$2" --arg d "$(digest "$1")" --argjson s "$(stat -c %s "$1")" '{mediaType: $m, digest: $d, size: $s}'
}

blob() { # file media-type
  echo "$(digest "$1") $1" >>blobs
  descriptor "$1" "$2"
}

layer() { # gzip, tar, plain or none
  local file
  file=$(new_file)
  case $1 in
    gzip) head -c 3000 /dev/urandom | gzip -n >"$file" && blob "$file" "$OCI.layer.v1.tar+gzip" ;;
    tar) head -c 5000 /dev/urandom >"$file" && blob "$file" "$OCI.layer.v1.tar" ;;
    plain) head -c 2000 /dev/urandom >"$file" && blob "$file" application/octet-stream ;;
    none) blob "$file" "$OCI.layer.v1.tar" ;;
  esac
}

config() {
  local file
  file=$(new_file)
  jq -nc --arg made "$file" '{architecture: "amd64", os: "linux", config: {Labels: {made: $made}}, rootfs: {type: "layers", diff_ids: []}}' >"$file"
  blob "$file" "$OCI.config.v1+json"
}

empty() {
  local file
  file=$(new_file)
  echo -n '{}' >"$file"
  blob "$file" application/vnd.oci.empty.v1+json
}

# Notes a manifest file and prints its descriptor.
manifest() { # file tag
  local type
  type=$(jq -r .mediaType "$1")
  echo "$(digest "$1") $1 $type ${2:--} $(jq -r '[.subject.digest // "-", .artifactType // "-"] | join(" ")' "$1")" >>manifests
  descriptor "$1" "$type" | jq -c --slurpfile m "$1" '. + ($m[0] | {artifactType, annotations} | with_entries(select(.value)))'
}

image_of() { # tag config layer…; also SUBJECT, TYPE, DOCKER
  local tag=$1 config=$2 file type=$OCI.manifest.v1+json
  shift 2
  [ -z "${DOCKER:-}" ] || type=$DOCKERS.distribution.manifest.v2+json
  file=$(new_file)
  printf '%s\n' "$@" | jq -sc --arg m "$type" --argjson c "$config" --argjson s "${SUBJECT:-null}" --arg t "${TYPE:-}" --arg made "$file" '
    {schemaVersion: 2, mediaType: $m, config: $c, layers: ., annotations: {made: $made}}
    + (if $s then {subject: $s} else {} end) + (if $t != "" then {artifactType: $t} else {} end)' >"$file"
  manifest "$file" "$tag"
}

index_of() { # tag manifest…; also SUBJECT, TYPE, DOCKER
  local tag=$1 file type=$OCI.index.v1+json
  shift
  [ -z "${DOCKER:-}" ] || type=$DOCKERS.distribution.manifest.list.v2+json
  file=$(new_file)
  { [ $# = 0 ] || printf '%s\n' "$@"; } | jq -sc --arg m "$type" --argjson s "${SUBJECT:-null}" --arg t "${TYPE:-}" --arg made "$file" '
    {schemaVersion: 2, mediaType: $m, annotations: {made: $made},
     manifests: map(. + {platform: {os: "linux", architecture: (.digest[-8:])}})}
    + (if $s then {subject: $s} else {} end) + (if $t != "" then {artifactType: $t} else {} end)' >"$file"
  manifest "$file" "$tag"
}

# Rewrites the manifest made last with a jq program.
change_last() { # tag jq-arguments…
  local tag=$1 file
  shift
  file=$(tail -n 1 manifests | cut -d' ' -f2)
  sed -i '$d' manifests
  jq -c "$@" "$file" >"$file.changed"
  mv "$file.changed" "$file"
  manifest "$file" "$tag"
}

absolute() { case $1 in http*) echo "$1" ;; *) echo "$BASE$1" ;; esac; }

with_digest() { case $1 in *\?*) echo "$1&digest=$2" ;; *) echo "$1?digest=$2" ;; esac; }

# Each blob in another of the ways that the specification knows.
push_blobs() {
  local digest file ways=(post-only post-put chunked streamed anonymous-mount) count=0
  while read -r digest file; do
    push_blob_by "${ways[count++ % 5]}" "$digest" "$file"
    equal "$(header location | grep -c "/v2/$REPOSITORY/blobs/$digest\$")" 1 "location of the new blob"
    equal "$(header docker-content-digest)" "$digest"
  done <blobs
}

push_blob_by() { # way digest file
  local way=$1 digest=$2 file=$3 uploads=/v2/$REPOSITORY/blobs/uploads/ location half
  local bytes=(-H 'Content-Type: application/octet-stream')
  case $way in
    post-only) # a server may also answer 202 and want the rest of the usual way
      equal "$(fetch POST "$uploads?digest=$digest" "${bytes[@]}" --data-binary "@$file")" 201
      return
      ;;
    anonymous-mount) # the server may know the blob, or ask for it
      equal "$(fetch POST "$uploads?mount=$digest" -H 'Content-Length: 0')" 202
      ;;
    *) equal "$(fetch POST "$uploads" -H 'Content-Length: 0')" 202 ;;
  esac
  location=$(absolute "$(header location)")
  case $way in
    chunked)
      half=$(($(stat -c %s "$file") / 2))
      if [ $half -gt 0 ]; then
        equal "$(fetch PATCH "$location" "${bytes[@]}" -H "Content-Range: 0-$((half - 1))" --data-binary @- < <(head -c $half "$file"))" 202
        equal "$(header range)" "0-$((half - 1))"
        location=$(absolute "$(header location)")
        equal "$(fetch PATCH "$location" "${bytes[@]}" -H "Content-Range: $half-$(($(stat -c %s "$file") - 1))" --data-binary @- \
          < <(tail -c +$((half + 1)) "$file"))" 202
        location=$(absolute "$(header location)")
        equal "$(fetch PUT "$(with_digest "$location" "$digest")" -H 'Content-Length: 0')" 201
        return
      fi
      ;;
    streamed)
      equal "$(fetch PATCH "$location" "${bytes[@]}" -T - -H 'Transfer-Encoding: chunked' <"$file")" 202
      location=$(absolute "$(header location)")
      equal "$(fetch PUT "$(with_digest "$location" "$digest")" -H 'Content-Length: 0')" 201
      return
      ;;
  esac
  equal "$(fetch PUT "$(with_digest "$location" "$digest")" "${bytes[@]}" --data-binary "@$file")" 201
}

push_content() { # plain, by-digest or tag-parameters
  local how=$1 digest file type tag subject reference number=0
  push_blobs
  while read -r digest file type tag subject _; do
    reference=$digest
    case $how in
      plain) [ "$tag" = - ] || reference=$tag ;;
      tag-parameters) reference="$digest?tag=number-$number&tag=also-$number" ;;
    esac
    equal "$(fetch PUT "/v2/$REPOSITORY/manifests/$reference" --data-binary "@$file" -H "Content-Type: $type")" 201
    equal "$(header docker-content-digest)" "$digest"
    [ "$subject" = - ] || equal "$(header oci-subject)" "$subject"
    if [ "$how" = tag-parameters ]; then
      equal "$(sed -n 's/^oci-tag: *//p' head | tr -d ' ' | tr ',' '\n' | sort | tr '\n' ' ')" "also-$number number-$number "
      sed -i "s|^\($digest [^ ]* [^ ]*\) -|\1 number-$number|" manifests
      equal "$(fetch HEAD "/v2/$REPOSITORY/manifests/also-$number" -H "Accept: $type")" 200
    fi
    number=$((number + 1))
  done <manifests
}

# Everything comes back as it was sent, whole and in part.
read_content() {
  local digest file type tag size reference # a manifest is read by its digest and by its tag
  while read -r digest file; do
    size=$(stat -c %s "$file")
    equal "$(fetch HEAD "/v2/$REPOSITORY/blobs/$digest")" 200
    equal "$(header content-length) $(header docker-content-digest)" "$size $digest"
    equal "$(fetch GET "/v2/$REPOSITORY/blobs/$digest")" 200
    cmp body "$file"
    [ "$size" -gt 10 ] || continue
    equal "$(fetch GET "/v2/$REPOSITORY/blobs/$digest" -H "Range: bytes=3-$((size - 2))")" 206
    cmp body <(tail -c +4 "$file" | head -c $((size - 4)))
  done <blobs
  while read -r digest file type tag _; do
    for reference in "$digest" $([ "$tag" = - ] || echo "$tag"); do
      equal "$(fetch HEAD "/v2/$REPOSITORY/manifests/$reference" -H "Accept: $type")" 200
      equal "$(header content-length) $(header content-type)" "$(stat -c %s "$file") $type"
      equal "$(fetch GET "/v2/$REPOSITORY/manifests/$reference" -H "Accept: $type")" 200
      equal "$(header docker-content-digest)" "$digest"
      cmp body "$file"
    done
  done <manifests
}

list_content() {
  local tag
  equal "$(fetch GET "/v2/$REPOSITORY/tags/list")" 200
  equal "$(jq -c '.tags == (.tags | sort)' body)" true "tags in order"
  while read -r _ _ _ tag _; do
    [ "$tag" = - ] || equal "$(jq --arg t "$tag" '.tags | index($t) != null' body)" true "tag $tag in the list"
  done <manifests
}

# What has a subject is found there, with its type and annotations, also by type alone.
find_content() {
  local digest file type tag subject artifact
  while read -r digest file type tag subject artifact; do
    if [ "$subject" = - ]; then continue; fi
    equal "$(fetch GET "/v2/$REPOSITORY/referrers/$subject")" 200
    equal "$(header content-type)" "$OCI.index.v1+json"
    equal "$(jq -c --arg d "$digest" '.manifests[] | select(.digest == $d) | [.size, .mediaType, .annotations]' body)" \
      "$(jq -c --argjson s "$(stat -c %s "$file")" '[$s, .mediaType, .annotations]' "$file")" "descriptor among the referrers"
    if [ "$artifact" = - ]; then artifact=$(jq -r .config.mediaType "$file"); fi
    equal "$(fetch GET "/v2/$REPOSITORY/referrers/$subject?artifactType=${artifact//+/%2B}")" 200
    equal "$(jq -c --arg d "$digest" '[.manifests[] | select(.digest == $d) | .artifactType]' body)" "[\"$artifact\"]"
    equal "$(jq -c '[.manifests[].artifactType] | unique | length' body)" 1 "types after filtering"
    equal "$(header oci-filters-applied)" artifactType
  done <manifests
}

# Tags, manifests from the top down, blobs: each is gone the moment its deletion is answered.
delete_content() {
  local digest type tag
  while read -r digest _ type tag _; do
    if [ "$tag" != - ]; then
      equal "$(fetch DELETE "/v2/$REPOSITORY/manifests/$tag")" 202
      equal "$(fetch HEAD "/v2/$REPOSITORY/manifests/$tag" -H "Accept: $type")" 404
      equal "$(fetch HEAD "/v2/$REPOSITORY/manifests/$digest" -H "Accept: $type")" 200 "the manifest without its tag"
    fi
  done <manifests
  while read -r digest _ type _; do
    equal "$(fetch DELETE "/v2/$REPOSITORY/manifests/$digest")" 202
    equal "$(fetch HEAD "/v2/$REPOSITORY/manifests/$digest" -H "Accept: $type")" 404
  done < <(tac manifests)
  while read -r digest; do
    equal "$(fetch DELETE "/v2/$REPOSITORY/blobs/$digest")" 202
    equal "$(fetch HEAD "/v2/$REPOSITORY/blobs/$digest")" 404
  done < <(cut -d' ' -f1 blobs | sort -u)
}
