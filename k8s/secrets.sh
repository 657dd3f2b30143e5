#!/usr/bin/env bash
# Creates the Secrets that the manifests refer to, and rotates the service's account.
#
#   k8s/secrets.sh            create the missing Secrets; never change existing ones
#   k8s/secrets.sh --rotate   create a new account, restart the pods, delete the old account
#
# Environment: KUBECTL (default: kubectl), NAMESPACE (default: that of the current context),
# ROLLOUT_TIMEOUT (default: 10m). Needs bash and python3. Prints no secret.
set -euo pipefail

KUBECTL=${KUBECTL:-kubectl}
ROLLOUT_TIMEOUT=${ROLLOUT_TIMEOUT:-10m}

k() { $KUBECTL ${NAMESPACE:+--namespace "$NAMESPACE"} "$@"; }
say() { printf 'secrets: %s\n' "$*"; }
random() { python3 -c 'import secrets; print(secrets.token_hex(24))'; }
exists() { k get secret "$1" --ignore-not-found --output name | grep -q .; }

# Strips a byte order mark and one line end, as the service does (zerglings/secret.py).
BARE='
def bare(value):
    value = value.removeprefix(b"\xef\xbb\xbf")
    end = next((end for end in (b"\r\n", b"\n", b"\r") if value.endswith(end)), b"")
    return value.removesuffix(end)
'

# apply_secret VERB NAME KEY=VALUE ... : passes the values on standard input, where `ps` does not show them.
# RETIRE is stored as an annotation: the account to delete when all pods use the new one.
apply_secret() {
  local verb=$1 name=$2; shift 2
  printf '%s\n' "$@" | python3 -c '
import json, sys
data = dict(line.split("=", 1) for line in sys.stdin.read().splitlines())
metadata = {"name": sys.argv[1], "labels": {"app.kubernetes.io/part-of": "overmind"},
            "annotations": {"overmind/retire": sys.argv[2]}}
json.dump({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata,
           "stringData": data}, sys.stdout)' "$name" "${RETIRE:-}" | k "$verb" --filename -
}

create_missing() {
  exists couchdb-password || apply_secret create couchdb-password "password=$(random)"
  exists overmind-couchdb || apply_secret create overmind-couchdb "username=overmind-$(random | cut -c1-8)" "password=$(random)"
  exists overmind || apply_secret create overmind "django-secret-key=$(random)$(random)"
  exists couchdb-metrics || apply_secret create couchdb-metrics "username=overmind-metrics" "password=$(random)"
  exists couchdb-cluster || create_cluster_secret
  say "all Secrets exist: couchdb-password, overmind-couchdb, overmind, couchdb-metrics, couchdb-cluster"
}

# The values that all nodes of a CouchDB cluster share; a single node ignores them.
create_cluster_secret() {
  local hash
  hash=$(k get secret couchdb-password --output 'jsonpath={.data.password}' | python3 -c "$BARE"'
import base64, hashlib, secrets, sys
password = bare(base64.b64decode(sys.stdin.read())) or sys.exit("couchdb-password has no key password")
salt, iterations = secrets.token_hex(16), 600000
key = hashlib.pbkdf2_hmac("sha256", password, salt.encode(), iterations)
print(f"-pbkdf2:sha256-{key.hex()},{salt},{iterations}")')
  apply_secret create couchdb-cluster "admin-hash=$hash" "cookie=$(random)" "secret=$(random)" "uuid=$(random | cut -c1-32)"
}

value() {
  k get secret "$1" --output "jsonpath={.data.$2}" | python3 -c "$BARE"'
import base64, sys
sys.stdout.buffer.write(bare(base64.b64decode(sys.stdin.read())))'
}

# rotate: if it is interrupted at any point, the next call continues
rotate() {
  local retired old_pods pod
  retired=$(k get secret overmind-couchdb --output 'jsonpath={.metadata.annotations.overmind/retire}')
  if [ -n "$retired" ]; then
    say "continuing an unfinished rotation"
  else
    retired=$(value overmind-couchdb username)
    RETIRE=$retired apply_secret replace overmind-couchdb "username=overmind-$(random | cut -c1-8)" "password=$(random)"
  fi
  say "new account $(value overmind-couchdb username), old account $retired; restarting the pods"
  old_pods=$(k get pods --selector app=overmind,tier=web --output name)
  k rollout restart deployment/overmind
  k rollout status deployment/overmind --timeout "$ROLLOUT_TIMEOUT"
  for pod in $old_pods; do  # the old pods serve for some seconds after the rollout
    until [ -z "$(k get "$pod" --ignore-not-found --output name)" ]; do sleep 1; done
  done
  retire "$retired"
  k annotate secret overmind-couchdb overmind/retire= --overwrite >/dev/null
}

# retire NAME: run the pods' init container once more, to delete the account NAME
retire() {
  local job=overmind-retire
  k delete job "$job" --ignore-not-found >/dev/null
  k get deployment overmind --output json | python3 -c '
import json, sys
spec = json.load(sys.stdin)["spec"]["template"]["spec"]
container = next(c for c in spec.pop("initContainers") if c["name"] == "bootstrap-couch")
env = [e for e in container["env"] if e["name"] != "OVERMIND_BOOTSTRAP_TIMEOUT"]
env += [{"name": "OVERMIND_BOOTSTRAP_RETIRE", "value": sys.argv[2]},
        {"name": "OVERMIND_BOOTSTRAP_TIMEOUT", "value": "120"}]
spec |= {"restartPolicy": "Never", "containers": [container | {"env": env}]}
spec.pop("topologySpreadConstraints", None)
# The network policies select by "app"; a different "tier" keeps the pod out of the Service.
# The others disable sidecars of service meshes, which would keep running after the job.
labels = {"app": "overmind", "tier": "job", "sidecar.istio.io/inject": "false"}
annotations = {"linkerd.io/inject": "disabled"}
json.dump({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": sys.argv[1]},
           "spec": {"backoffLimit": 1,
                    "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}}},
          sys.stdout)' "$job" "$1" | k create --filename -
  if ! k wait --for=condition=complete "job/$job" --timeout 310s; then
    k logs "job/$job" >&2 || true
    say "cannot delete the old account $1: see the logs of job/$job, then run this again" >&2
    exit 1
  fi
  k logs "job/$job" | grep '^retire:'
  k delete job "$job" >/dev/null
}

case ${1:-} in
  "") create_missing ;;
  --rotate) rotate ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
