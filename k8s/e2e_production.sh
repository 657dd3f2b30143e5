#!/usr/bin/env bash
# Tries the production overlay: a CouchDB cluster finishes itself from empty volumes, and then loses each of
# its nodes in turn, under load. The cluster must have room for it, or FILTER must lower the requests.
#
# Environment: that of k8s/e2e_lib.sh, and
#   OVERLAY   folder to apply   (k8s/overlays/production)
#
# Exits non-zero on any failed request, also a 503, and on any lost command.
OVERLAY=${OVERLAY:-k8s/overlays/production}
. "$(dirname "$0")/e2e_lib.sh"

delete_each_node() {
  local pod
  for pod in $(k get pods --selector app=couchdb,tier=db --output 'jsonpath={.items[*].metadata.name}'); do
    say "delete $pod"
    k delete pod "$pod" --wait=true
    rolled_out statefulset/couchdb
    step_done "delete $pod"
  done
}

apply
k logs deployment/overmind --container bootstrap-couch
k get pods,pvc,pdb,hpa
start_load "$(k get ingress overmind --output 'jsonpath={.spec.rules[0].host}')"
delete_each_node
stop_load
show_table
