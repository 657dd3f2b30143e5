#!/usr/bin/env bash
# Tries the whole stack on a cluster, in a namespace of its own, under load.
#
# Environment:
#   KUBECTL        kubectl, or a command that takes its place       (kubectl)
#   CURL           curl, or a command that reaches the node         (curl)
#   OVERLAY        folder to apply                                  (k8s/overlays/minikube)
#   NAMESPACE      made, and deleted in the end                     (overmind-e2e)
#   OVERMIND_URL   where the service is                             (first node's InternalIP:30080)
#   FILTER         command that the rendered manifests go through   (cat)
#   SECOND_IMAGE   image of the second version; without it, the second version differs by an annotation
#   KEEP           anything: leave the namespace for a look
#   TIMEOUT        seconds that a step may take                     (300)
#
# The overlay must have a NodePort and a fixed number of replicas, as minikube's has.
# Exits non-zero on any failed request (but for 503 with Retry-After while CouchDB is deleted), any lost
# command, any step that does not come to its end.
set -euo pipefail
cd "$(dirname "$0")/.."

KUBECTL=${KUBECTL:-kubectl} CURL=${CURL:-curl} OVERLAY=${OVERLAY:-k8s/overlays/minikube}
export KUBECTL NAMESPACE=${NAMESPACE:-overmind-e2e}
FILTER=${FILTER:-cat} TIMEOUT=${TIMEOUT:-300}

k() { $KUBECTL --namespace "$NAMESPACE" "$@"; }
say() { printf '\n== %s\n' "$*"; }
die() { printf 'e2e: %s\n' "$*" >&2; exit 1; }
rolled_out() { k rollout status "$1" --timeout "${TIMEOUT}s"; }

# until_true SECONDS WHAT COMMAND ... : asks again and again, and says what it waited for in vain
until_true() {
  local seconds=$1 what=$2 end; shift 2
  end=$((SECONDS + seconds))
  until "$@"; do
    [ $SECONDS -lt $end ] || die "waited $seconds s in vain: $what"
    sleep 1
  done
}

finish() {
  local status=$?
  if [ $status != 0 ]; then
    [ -z "${CREATED:-}" ] || k get pods,events --sort-by=.metadata.creationTimestamp 2>/dev/null | tail -40 >&2 || true
    [ -z "${CREATED:-}" ] || k logs --selector app=overmind,tier=web --container overmind --tail 5 >&2 2>/dev/null || true
  fi
  if [ -n "${CREATED:-}" ] && [ -z "${KEEP:-}" ]; then  # never what was there before
    $KUBECTL delete namespace "$NAMESPACE" --ignore-not-found --timeout 180s >/dev/null || status=1
  fi
  exit $status
}

# ---- the load, made by a pod of the service's own image

start_load() {
  local image; image=$(k get deployment overmind --output 'jsonpath={.spec.template.spec.containers[0].image}')
  python3 - "$image" <<'PY' | k create --filename - >/dev/null
import json, pathlib, sys
locked = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
resources = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}
container = {"name": "load", "image": sys.argv[1], "imagePullPolicy": "IfNotPresent",
             "command": ["python", "-c", pathlib.Path("k8s/e2e_load.py").read_text(), "overmind", "8080"],
             "resources": resources, "securityContext": locked,
             "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}
spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}], "containers": [container]}
json.dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load"}, "spec": spec}, sys.stdout)
PY
  until_true "$TIMEOUT" "the load to begin" load_runs
  MARK=$(counts)
}

load_runs() { [ -n "$(counts 2>/dev/null)" ]; }
counts() { k logs load --tail 1; }
next_second() { local line; line=$(counts); until_true 30 "the load to go on" counts_are_not "$line"; }
counts_are_not() { [ "$(counts)" != "$1" ]; }

TABLE=() FAILED=0
# step_done NAME [may-be-unavailable] : a row of the table, with what was sent since the last one
step_done() {
  local now row
  next_second; next_second  # so that nothing of this step is counted for the next one
  now=$(counts)
  row=$(python3 - "$MARK" "$now" "$1" "${2:-}" <<'PY'
import json, sys
before, now, name, may = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], sys.argv[4]
since = {key: now[key] - before[key] for key in ("sent", "ok", "unavailable", "doubtful", "failed")}
bad = since["failed"] + (0 if may else since["unavailable"] + since["doubtful"])
print(f"{name:<44} {since['sent']:>6} {since['failed']:>6} {since['unavailable'] + since['doubtful']:>6}  {'ok' if not bad else 'FAILED'}")
for failure in now["failures"] if bad else []:
    print("    " + failure)
PY
)
  MARK=$now
  TABLE+=("$row")
  printf '%s\n' "$row"
  case $row in *FAILED*) FAILED=1 ;; esac
}

# ---- the steps

apply() {
  say "apply $OVERLAY in $NAMESPACE"
  $KUBECTL create namespace "$NAMESPACE" || die "choose another NAMESPACE: this one is made and deleted here"
  CREATED=yes
  k8s/secrets.sh
  $KUBECTL kustomize "$OVERLAY" | $FILTER | k apply --filename -
  local began=$SECONDS
  rolled_out statefulset/couchdb
  rolled_out deployment/overmind
  echo "ready after $((SECONDS - began)) s"
}

transcript() {
  say "the original's transcript, through the NodePort"
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
  say "delete a pod: its successor is bootstrapped again"
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
  say "delete couchdb-0: 503 for a while, and the data is there again"
  k delete pod couchdb-0 --wait=true
  rolled_out statefulset/couchdb
  until_true 60 "the brain to be well" brain_is_ok
  step_done "delete couchdb-0" may-be-unavailable
  [ "$(k get deployment overmind --output 'jsonpath={.status.readyReplicas}')" = 3 ] || die "the outage cost replicas"
}
brain_is_ok() { $CURL --silent --max-time 5 "$OVERMIND_URL/_health" | grep -q '"brain":"ok"'; }

rotate() {
  say "exchange the service's account"
  k8s/secrets.sh --rotate
  step_done "exchange the service's account"
}

stop_load() {
  say "stop the load, and read everything back"
  k exec load -- touch /tmp/stop
  until_true 60 "the load to end" load_has_ended
  counts
  counts | grep -q '"wrong": \[\]' || die "commands were lost or made twice"
}
load_has_ended() { counts | grep -q '"final": true'; }

trap finish EXIT
trap 'exit 130' INT TERM
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

say "result"
printf '%-44s %6s %6s %6s\n' step sent failed 503
printf '%s\n' "${TABLE[@]}"
[ $FAILED = 0 ] || die "requests failed"
echo "no request failed, nothing acknowledged was lost"
