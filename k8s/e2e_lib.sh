#!/usr/bin/env bash
# What the end-to-end runs share: a namespace of their own, a load, and a table. Sourced, not run.
#
# Environment:
#   KUBECTL    kubectl, or a command that takes its place               (kubectl)
#   CURL       curl, or a command that reaches the node                 (curl)
#   NAMESPACE  made, and deleted in the end; refused if it exists       (overmind-e2e)
#   FILTER     command that the rendered manifests go through           (cat)
#   TIMEOUT    seconds that a step may take                             (300)
#   KEEP       anything: leave the namespace for a look
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "$0")/.."

KUBECTL=${KUBECTL:-kubectl} CURL=${CURL:-curl}
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

# start_load [HOST] : HOST is the name that the service is asked by
start_load() {
  local image; image=$(k get deployment overmind --output 'jsonpath={.spec.template.spec.containers[0].image}')
  python3 - "$image" "${1:-overmind}" <<'PY' | k create --filename - >/dev/null
import json, pathlib, sys
locked = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
resources = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}
container = {"name": "load", "image": sys.argv[1], "imagePullPolicy": "IfNotPresent",
             "command": ["python", "-c", pathlib.Path("k8s/e2e_load.py").read_text(), "overmind", "8080", sys.argv[2]],
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

load_runs() { counts 2>/dev/null | grep -q '"sent"'; }
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

stop_load() {
  say "stop the load, and read everything back"
  k exec load -- touch /tmp/stop
  until_true 60 "the load to end" load_has_ended
  counts
  counts | grep -q '"wrong": \[\]' || die "commands were lost or made twice"
}
load_has_ended() { counts | grep -q '"final": true'; }

# show_table : the result of the run, and its exit status
show_table() {
  say "result"
  printf '%-44s %6s %6s %6s\n' step sent failed 503
  printf '%s\n' "${TABLE[@]}"
  [ $FAILED = 0 ] || die "requests failed"
  echo "no request failed, nothing acknowledged was lost"
}

trap finish EXIT
trap 'exit 130' INT TERM
