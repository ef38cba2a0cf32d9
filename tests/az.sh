# shellcheck shell=bash
# The real Azure CLI, and clients that know a server by its names. Sourced after lib.sh.
#
# The script goes on in namespaces of its own, where port 443 is free, names resolve to the server, and its authority is trusted
# like any other. Nothing of the machine is changed.

if [ -z "${WHARF_TESTS_NAMESPACE:-}" ]; then
  rm -rf "$WORK"
  trap - EXIT
  WHARF_TESTS_CACHE=${TOOLS%/bin} WHARF_TESTS_NAMESPACE=1 exec unshare --mount --net bash "$0" "$@"
fi
unset WHARF_TESTS_NAMESPACE
ip link set lo up
cp /etc/hosts "$WORK/hosts"
mount --bind "$WORK/hosts" /etc/hosts

AZ=${TOOLS%/bin}/az/bin/az
DOMAIN=wharf.test
ARM=https://management.$DOMAIN

# Everything that az keeps goes to a directory of the test's, and nothing leaves the machine.
export AZURE_CONFIG_DIR=$WORK/azure AZURE_CORE_COLLECT_TELEMETRY=false AZURE_CORE_SURVEY_MESSAGE=no
export AZURE_EXTENSION_USE_DYNAMIC_INSTALL=no AZURE_CORE_NO_COLOR=true AZURE_CORE_LOGIN_EXPERIENCE_V2=false

az() { "$AZ" "$@"; }

# Starts a server on the ports and under names as an operator would give it. Sets TENANT, SUBSCRIPTION, CLIENT_ID and CLIENT_SECRET
# beside what start_server sets.
start_azure() {
  HTTP_PORT=80 HTTPS_PORT=443 start_server --domain "$DOMAIN" "$@"
  resolve "management.$DOMAIN" "login.$DOMAIN" "portal.$DOMAIN" "wharf.$DOMAIN"
  cat /etc/ssl/certs/ca-certificates.crt "$CA" >"$WORK/trusted.pem"
  mount --bind "$WORK/trusted.pem" /etc/ssl/certs/ca-certificates.crt
  export REQUESTS_CA_BUNDLE=$CA
  TENANT=$(credential .tenantId)
  SUBSCRIPTION=$(credential .subscriptionId)
  CLIENT_ID=$(credential .clientId)
  CLIENT_SECRET=$(credential .clientSecret)
}

# Lets names lead to the server. Written in place, since the file is mounted.
resolve() { # name…
  echo "127.0.0.1 $*" >>"$WORK/hosts"
}

# Registers the server as a cloud in the short way and signs in as the owner.
sign_in() {
  az cloud register -n wharf --endpoint-resource-manager "$ARM" >/dev/null
  az cloud set -n wharf
  az login --service-principal -u "$CLIENT_ID" -p "$CLIENT_SECRET" --tenant "$TENANT" >/dev/null
}

# A command with an az sign-in of its own beside the first: as NAME command…
as() {
  local name=$1
  shift
  AZURE_CONFIG_DIR=$WORK/azure-$name "$@"
}

# What a query finds in the answer of an az command: query 'properties.x' acr show -n …
query() { # jmespath az-arguments…
  local wanted=$1
  shift
  az "$@" --query "$wanted" -o tsv
}

# An az command that must fail and say why.
fails_with() { # text az-arguments…
  local wanted=$1 said
  shift
  said=$(refused az "$@" 2>&1) || { echo "$said"; return 1; }
  contains "$said" "$wanted"
}
