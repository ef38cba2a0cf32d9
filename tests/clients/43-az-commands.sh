#!/usr/bin/env bash
# Runs every command of `az acr` once and compares what works with the table in docs/compatibility.md, so that the table is true.
#
#   UPDATE=1 tests/run az-commands     writes the table anew
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

TABLE=$ROOT/docs/compatibility.md
REGISTRY=compat${RANDOM}x
LOGIN_SERVER=$REGISTRY.wharf.test
STATES=$WORK/states

start_azure
resolve "$LOGIN_SERVER"

prepares() {
  sign_in
  az group create -n compat -l eastus >/dev/null
  az identity create -g compat -n mi1 >/dev/null
  mkdir -p "$WORK/dir/context"
  printf 'FROM scratch\n' >"$WORK/dir/context/Dockerfile"
  helm create "$WORK/dir/chart" >/dev/null && helm package "$WORK/dir/chart" -d "$WORK/dir" >/dev/null
}

# Artifacts for the commands that read some, as soon as the registry is there.
seed() {
  local password
  password=$(query 'passwords[0].value' acr credential show -n "$REGISTRY")
  for name in seed:v1 seed:v2 seed:v3 other:v1; do
    oras push --ca-file "$CA" -u "$REGISTRY" -p "$password" --annotation "name=$name" --disable-path-validation \
      "$LOGIN_SERVER/$name" "$TABLE:text/markdown" >/dev/null
  done
}

arguments() { # text
  local text=$1
  text=${text//\{r\}/$REGISTRY}
  text=${text//\{g\}/compat}
  text=${text//\{s\}/$LOGIN_SERVER}
  text=${text//\{dir\}/$WORK/dir}
  text=${text//\{d\}/sha256:$(printf '0%.0s' {1..64})}
  text=${text//\{id\}//subscriptions/$SUBSCRIPTION/resourceGroups/compat/providers/Microsoft.ContainerRegistry/registries/$REGISTRY}
  text=${text//\{mi\}//subscriptions/$SUBSCRIPTION/resourceGroups/compat/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mi1}
  echo "$text"
}

runs_every_command() {
  local command text note words rc
  while IFS='|' read -r command text note; do
    [[ $command == acr* ]] || continue
    command=${command%"${command##*[![:space:]]}"}
    eval "words=($(arguments "$text"))" # the file is ours; its quotes are shell's
    rc=0
    # shellcheck disable=SC2086 # words of a command
    timeout 60 "$AZ" $command "${words[@]}" -o json >"$WORK/said" 2>&1 </dev/null || rc=$?
    echo "az $command ${words[*]}: $rc"
    tail -n 3 "$WORK/said" | cut -c1-300
    [ "$command" != "acr create" ] || seed
    # What az runs for us may fail without its noticing.
    ! grep -q '^Error: ' "$WORK/said" || rc=1
    echo "| \`${command#acr }\` | $([ $rc = 0 ] && echo works || echo "not yet") |$(echo "${note:-}" | sed 's/ *$//') |" >>"$STATES"
  done <"$TESTS/az/commands.txt"
}

# The table between its two marks.
table_of_the_docs() { sed -n '/^<!-- az acr: begin -->$/,/^<!-- az acr: end -->$/p' "$TABLE" | grep '^| `' || true; }

agrees_with_the_docs() {
  sort "$STATES" >"$WORK/sorted"
  if [ -n "${UPDATE:-}" ]; then
    awk -v rows="$WORK/sorted" '
      /^<!-- az acr: begin -->$/ { print; print "| command | state | note |"; print "| --- | --- | --- |"
        while ((getline line < rows) > 0) print line; skipping = 1; next }
      /^<!-- az acr: end -->$/ { skipping = 0 }
      !skipping { print }' "$TABLE" >"$WORK/table" && cp "$WORK/table" "$TABLE"
  fi
  diff <(table_of_the_docs) "$WORK/sorted"
}

knows_every_command() {
  diff <("$AZ" acr --help >/dev/null && "${AZ%/az}/python" "$TESTS/az/list-commands.py" 2>/dev/null | sort) \
    <(grep '^acr' "$TESTS/az/commands.txt" | sed 's/ *|.*//' | sort)
}

check "every command of the client is in the list" knows_every_command
check "a group, an identity, a chart" prepares
CASE_SECONDS=840 check "every command is run" runs_every_command
check "the table in docs/compatibility.md says which work" agrees_with_the_docs
