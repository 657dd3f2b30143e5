#!/usr/bin/env bash
# Tests the whole stack under load on a single-node cluster, in a namespace of its own.
#
# Environment, in addition to that of k8s/e2e_lib.sh:
#   OVERLAY        folder to apply, with a NodePort and a fixed number of replicas  (k8s/overlays/minikube)
#   OVERMIND_URL   URL of the service                                               (first node's InternalIP:30080)
#   SECOND_IMAGE   image of the second version; by default, only an annotation changes
#
# Exits non-zero if a request fails (except 503 with Retry-After while CouchDB is deleted), a command is
# lost, or a step does not finish.
OVERLAY=${OVERLAY:-k8s/overlays/minikube}
. "$(dirname "$0")/e2e_lib.sh"

transcript() {
  say "replay the transcript of the original service through the NodePort"
  OVERMIND_URL=${OVERMIND_URL:-http://$($KUBECTL get nodes --output 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'):30080}
  local id
  call -XGET /zerglings/ '{}'
  call -XPOST /zerglings/ '{"zergling":{"id":"*","location":{"x":0,"y":0},"facing":"N"}}' -d 'M'
  id=$(printf %s "$ANSWER" | python3 -c 'import json, sys; print(json.load(sys.stdin)["zergling"]["id"])')
  call -XPOST /zerglings/ '{"zergling":{"id":"*","location":{"x":0,"y":0},"facing":"N"}}'
  call -XPOST /zerglings/ '{"zergling":{"id":"*","location":{"x":0,"y":0},"facing":"N"}}'
  call -XGET /zerglings/ '{"zerglings":[{*},{*},{*}]}'
  call -XPOST "/zerglings/$id" '*"commandHistory":["M"],"_rev":"2-*' -d '"M"'
  call -XPOST "/zerglings/$id" '*"location":{"x":0,"y":1},"facing":"W","commandHistory":["M","L"],"_rev":"3-*' -d '"L"'
  call -XPOST "/zerglings/$id" '*"location":{"x":-1,"y":1},"facing":"W","commandHistory":["M","L","M"],"_rev":"4-*' -d '"M"'
}

# call METHOD PATH PATTERN [CURL OPTION ...] : the answer must match the shell pattern
call() {
  local method=$1 path=$2 pattern=${3//\[/\\[}; shift 3  # a bracket is a bracket
  ANSWER=$($CURL --silent --show-error --max-time 10 "$method" "$OVERMIND_URL$path" "$@")
  printf '$ curl %s %s %s\n%s\n' "$method" "$path" "$*" "$ANSWER"
  # shellcheck disable=SC2254 # a pattern is what it is
  case $ANSWER in $pattern) ;; *) die "expected $pattern" ;; esac
}

a_pod() { k get pods --selector app=overmind,tier=web --field-selector status.phase=Running --output 'jsonpath={.items[0].metadata.name}'; }

delete_a_pod() {
  say "delete a pod: its replacement runs the bootstrap"
  local old new; old=$(k get pods --selector app=overmind,tier=web --output name | sort)
  k delete pod "$(a_pod)" --wait=true
  rolled_out deployment/overmind
  new=$(k get pods --selector app=overmind,tier=web --output name | sort | comm -13 <(echo "$old") - | head -1)
  k get "$new" --output 'jsonpath={.status.initContainerStatuses[0].name} {.status.initContainerStatuses[0].state.terminated.reason}{"\n"}'
  k logs "$new" --container bootstrap-couch
  k logs "$new" --container bootstrap-couch | grep -q '^verify: ok' || die "the init container did not run"
  step_done "delete a pod"
}

scale() {
  local count
  for count in 5 2 3; do
    say "scale to $count"
    k scale deployment/overmind --replicas "$count"
    rolled_out deployment/overmind
    until_true 120 "exactly $count pods" has_pods "$count"
    step_done "scale to $count"
  done
}
has_pods() { [ "$(k get pods --selector app=overmind,tier=web --output name | wc -l)" = "$1" ]; }

upgrade() {
  say "roll out a second version, and roll it back"
  if [ -n "${SECOND_IMAGE:-}" ]; then
    k set image deployment/overmind "overmind=$SECOND_IMAGE" "bootstrap-couch=$SECOND_IMAGE"
  else
    k patch deployment overmind --patch '{"spec":{"template":{"metadata":{"annotations":{"e2e":"2"}}}}}'
  fi
  rolled_out deployment/overmind
  step_done "roll out a second version"
  k rollout undo deployment/overmind
  rolled_out deployment/overmind
  step_done "roll it back"
}

broken_image() {
  say "roll out an image that does not exist, and undo it"
  k set image deployment/overmind overmind=overmind:does-not-exist
  until_true 120 "the broken pod to be stuck" is_stuck
  [ "$(k get deployment overmind --output 'jsonpath={.status.availableReplicas}')" = 3 ] || die "the broken image cost replicas"
  k rollout undo deployment/overmind
  rolled_out deployment/overmind
  step_done "roll out a broken image, undo it"
}
is_stuck() { k get pods --selector app=overmind,tier=web | grep -Eq 'ErrImage|ImagePull'; }

delete_couchdb() {
  say "delete couchdb-0: 503 for a while, then the data is back"
  k delete pod couchdb-0 --wait=true
  rolled_out statefulset/couchdb
  until_true 60 "the store to be healthy" brain_is_ok
  step_done "delete couchdb-0" may-be-unavailable
  [ "$(k get deployment overmind --output 'jsonpath={.status.readyReplicas}')" = 3 ] || die "the outage cost replicas"
}
brain_is_ok() { $CURL --silent --max-time 5 "$OVERMIND_URL/_health" | grep -q '"brain":"ok"'; }

rotate() {
  say "rotate the service's account"
  k8s/secrets.sh --rotate
  step_done "rotate the service's account"
}

apply
transcript
start_load
delete_a_pod
scale
upgrade
broken_image
delete_couchdb
rotate
stop_load
show_table
