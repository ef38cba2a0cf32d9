#!/usr/bin/env bash
# Who may do what, with the real clients: docker, podman and helm signed in as the admin user, service principals, a token with a
# scope map, an exposed az token, and not at all, in both modes of roles. What each may do is the table of docs/access.md.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../images.sh"
. "$(dirname "$0")/../docker-engine.sh"
. "$(dirname "$0")/../az.sh"

start_azure
R=rbac1.$DOMAIN
A=abac1.$DOMAIN
resolve "$R" "$A"
start_dockerd /usr/sbin/dockerd

# A service principal with a role; leaves its id and secret in $WORK/NAME.
principal() { # name role scope [az role assignment arguments…]
  local name=$1 role=$2 scope=$3
  shift 3
  az ad sp create-for-rbac -n "$name" -o json >"$WORK/$name"
  [ "$role" = none ] ||
    az role assignment create --assignee "$(jq -r .appId "$WORK/$name")" --role "$role" --scope "$scope" "$@" >/dev/null
}

prepares() {
  local rbac abac
  sign_in
  az group create -n access -l eastus >/dev/null
  rbac=$(query id acr create -g access -n rbac1 --sku Premium --admin-enabled true)
  abac=$(query id acr create -g access -n abac1 --sku Premium --admin-enabled true --role-assignment-mode rbac-abac)
  principal puller AcrPull "$rbac"
  principal pusher AcrPush "$rbac"
  principal deleter AcrDelete "$rbac"
  principal reader Reader "$rbac"
  principal stranger none none
  az role assignment create --assignee "$(jq -r .appId "$WORK/puller")" --role AcrPull --scope "$abac" >/dev/null
  principal writer "Container Registry Repository Writer" "$abac" --condition-version 2.0 --condition "(
    ( !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'})
      AND !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/write'})
      AND !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/read'})
      AND !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/write'}) )
    OR ( @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'team/' ) )"
  principal contributor "Container Registry Repository Contributor" "$abac"
  principal lister "Container Registry Repository Catalog Lister" "$abac"
  az acr token create -r rbac1 -n scoped --repository team/app content/read content/write -o json >"$WORK/scoped"
  az acr credential show -n rbac1 -o json >"$WORK/admin"
  az acr credential show -n abac1 -o json >"$WORK/abac-admin"
  layout "$WORK/image"
  mkdir -p "$WORK/base"
  cp "$BUSYBOX" "$WORK/base/busybox"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\n' >"$WORK/base/Dockerfile"
  docker build -q --network none -t seed "$WORK/base"
  docker save seed -o "$WORK/seed.tar"
  for registry in "$R" "$A"; do
    for repository in team/app other; do
      skopeo copy --dest-creds "$(credentials "$([ "$registry" = "$R" ] && echo admin || echo abac-admin)")" "docker-archive:$WORK/seed.tar" "docker://$registry/$repository:v1"
    done
  done
  mkdir -p "$WORK/charts"
  cd "$WORK" && helm create chart >/dev/null && helm package chart >/dev/null
}

# user:password of somebody.
credentials() { # name
  case $1 in
    admin | abac-admin) jq -r '"\(.username):\(.passwords[0].value)"' "$WORK/$1" ;;
    scoped) jq -r '"scoped:\(.credentials.passwords[0].value)"' "$WORK/$1" ;;
    exposed) echo "00000000-0000-0000-0000-000000000000:$(cat "$WORK/exposed")" ;;
    *) jq -r '"\(.appId):\(.password)"' "$WORK/$1" ;;
  esac
}

# yes or no: does the command succeed?
may() {
  if "$@" >>"$WORK/may.log" 2>&1; then echo yes; else
    [ $? -lt 126 ] || { echo "could not be run: $*" >&2; return 1; }
    echo no
  fi
}

sign_in_with() { # client user:password registry
  local user=${2%%:*} password=${2#*:}
  case $1 in
    docker) docker login -u "$user" --password-stdin "$3" <<<"$password" ;;
    podman) podman login -u "$user" --password-stdin "$3" <<<"$password" ;;
    helm) helm registry login -u "$user" --password-stdin "$3" <<<"$password" ;;
  esac
}

# Tries pull and push of team/app and other with a client and prints four words.
tries() { # client registry
  local answers=() repository
  for repository in team/app other; do
    case $1 in
      docker)
        docker rmi -f "$2/$repository:v1" >/dev/null 2>&1 || true
        answers+=("$(may docker pull -q "$2/$repository:v1")")
        docker tag seed "$2/$repository:by-docker"
        answers+=("$(may docker push -q "$2/$repository:by-docker")")
        ;;
      podman)
        answers+=("$(may podman --storage-driver vfs --root "$WORK/podman" pull -q "$2/$repository:v1")")
        podman --storage-driver vfs --root "$WORK/podman" load -q -i "$WORK/seed.tar" >/dev/null
        answers+=("$(may podman --storage-driver vfs --root "$WORK/podman" push -q localhost/seed:latest "docker://$2/$repository:by-podman")")
        ;;
      helm)
        answers+=("$(may helm pull "oci://$2/$repository/chart" --version 0.1.0 -d "$WORK/charts")")
        answers+=("$(may helm push "$WORK/chart-0.1.0.tgz" "oci://$2/$repository")")
        ;;
    esac
  done
  echo "${answers[*]}"
}

# pull and push of team/app, pull and push of other
is_allowed() { # client name registry answers
  sign_in_with "$1" "$(credentials "$2")" "$3"
  equal "$(tries "$1" "$3")" "$4" "$1 as $2 in $3"
}

with_docker_and_podman() { # name registry answers
  is_allowed docker "$@"
  is_allowed podman "$@"
}

# Whoever may do nothing is not even signed in.
is_kept_out() { # name registry
  local client
  for client in docker podman helm; do
    refused sign_in_with "$client" "$(credentials "$1")" "$2"
  done
}

anonymous_pull() {
  docker logout "$R" && podman logout "$R" || true
  equal "$(tries docker "$R")" "no no no no"
  az acr update -n rbac1 --anonymous-pull-enabled true >/dev/null
  equal "$(tries docker "$R")" "yes no yes no"
  equal "$(tries podman "$R")" "yes no yes no"
  az acr update -n rbac1 --anonymous-pull-enabled false >/dev/null
  equal "$(tries docker "$R")" "no no no no"
}

helm_pushes_and_pulls() {
  sign_in_with helm "$(credentials pusher)" "$R"
  helm push "$WORK/chart-0.1.0.tgz" "oci://$R/team/app"
  helm push "$WORK/chart-0.1.0.tgz" "oci://$R/other"
  is_allowed helm pusher "$R" "yes yes yes yes"
  is_allowed helm puller "$R" "yes no yes no"
  sign_in_with helm "$(credentials contributor)" "$A"
  helm push "$WORK/chart-0.1.0.tgz" "oci://$A/team/app"
  helm push "$WORK/chart-0.1.0.tgz" "oci://$A/other"
  is_allowed helm writer "$A" "yes yes no no"
}

an_exposed_token_works() {
  as puller az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as puller az cloud set -n wharf
  as puller az login --service-principal -u "$(jq -r .appId "$WORK/puller")" -p "$(jq -r .password "$WORK/puller")" --tenant "$TENANT" --allow-no-subscriptions >/dev/null
  as puller az acr login -n rbac1 --expose-token --query accessToken -o tsv 2>/dev/null >"$WORK/exposed"
  with_docker_and_podman exposed "$R" "yes no yes no"
}

catalog() { # name registry
  curl -sS -o /dev/null -w '%{http_code}' -u "$(credentials "$1")" "https://$2/v2/_catalog"
}

deletes() { # name registry
  local digest
  digest=$(skopeo inspect --creds "$(credentials "$([ "$2" = "$R" ] && echo admin || echo abac-admin)")" --format '{{.Digest}}' "docker://$2/team/app:v1")
  curl -sS -o /dev/null -w '%{http_code}' -u "$(credentials "$1")" -X DELETE "https://$2/v2/team/app/manifests/$digest"
}

catalogs_and_deletes() {
  equal "$(catalog admin "$R") $(catalog puller "$R") $(catalog pusher "$R") $(catalog reader "$R")" "200 200 200 200"
  equal "$(catalog deleter "$R") $(catalog scoped "$R") $(catalog stranger "$R")" "401 401 401"
  equal "$(catalog lister "$A") $(catalog writer "$A") $(catalog puller "$A")" "200 401 401"
  equal "$(deletes puller "$R") $(deletes pusher "$R") $(deletes scoped "$R") $(deletes reader "$R")" "401 401 401 401"
  equal "$(deletes writer "$A")" 401
  equal "$(deletes deleter "$R")" 202
  equal "$(deletes contributor "$A")" 202
}

# A removed role, a disabled token and a removed principal are of no use at once, also with tokens that were issued before.
what_is_taken_away_ends_at_once() {
  local token user=$WORK/pusher
  token=$(curl -sS -u "$(credentials pusher)" "https://$R/oauth2/token?service=$R&scope=repository:other:pull" | jq -r .access_token)
  with_token() { curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "https://$R/v2/other/tags/list"; }
  equal "$(with_token)" 200
  az role assignment delete --assignee "$(jq -r .appId "$user")" --role AcrPush --scope "$(query id acr show -n rbac1)"
  equal "$(with_token)" 401
  az role assignment create --assignee "$(jq -r .appId "$user")" --role AcrPush --scope "$(query id acr show -n rbac1)" >/dev/null
  equal "$(with_token)" 200
  az ad sp delete --id "$(jq -r .appId "$user")"
  equal "$(with_token)" 401
  token=$(curl -sS -u "$(credentials scoped)" "https://$R/oauth2/token?service=$R&scope=repository:team/app:pull" | jq -r .access_token)
  with_scoped() { curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "https://$R/v2/team/app/tags/list"; }
  equal "$(with_scoped)" 200
  az acr token update -r rbac1 -n scoped --status disabled >/dev/null
  equal "$(with_scoped)" 401
}

switching_the_mode_ends_tokens() {
  local token
  token=$(curl -sS -u "$(credentials puller)" "https://$R/oauth2/token?service=$R&scope=repository:other:pull" | jq -r .access_token)
  status() { curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "https://$R/v2/other/tags/list"; }
  equal "$(status)" 200
  az acr update -n rbac1 --role-assignment-mode rbac-abac >/dev/null
  equal "$(status)" 401
  az acr update -n rbac1 --role-assignment-mode rbac >/dev/null
  equal "$(curl -sS -o /dev/null -w '%{http_code}' -u "$(credentials puller)" "https://$R/v2/other/tags/list")" 200
}

a_bad_condition_is_refused() {
  local said
  said=$(refused az role assignment create --assignee "$(jq -r .appId "$WORK/stranger")" --role "Container Registry Repository Reader" \
    --scope "$(query id acr show -n abac1)" --condition-version 2.0 --condition "@Request[x:name] StringEqual 'a" 2>&1)
  echo "$said"
}

check "registries, principals with roles, a token, images" prepares
check "the admin user" with_docker_and_podman admin "$R" "yes yes yes yes"
check "a service principal with AcrPull" with_docker_and_podman puller "$R" "yes no yes no"
check "a service principal with AcrPush" with_docker_and_podman pusher "$R" "yes yes yes yes"
check "a service principal without a role" is_kept_out stranger "$R"
check "a token with a scope map" with_docker_and_podman scoped "$R" "yes yes no no"
check "an exposed az token" an_exposed_token_works
check "nobody, and anonymous pull" anonymous_pull
check "with conditions: a writer of team/" with_docker_and_podman writer "$A" "yes yes no no"
check "with conditions: AcrPull gives nothing" is_kept_out puller "$A"
check "helm" helm_pushes_and_pulls
check "who may list the catalog and delete" catalogs_and_deletes
check "what is taken away ends at once" what_is_taken_away_ends_at_once
check "switching the mode of roles ends tokens" switching_the_mode_ends_tokens
check "a condition with a mistake is refused" a_bad_condition_is_refused
