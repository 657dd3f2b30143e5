#!/usr/bin/env bash
# Tests the production overlay: a CouchDB cluster sets itself up on empty volumes, then each of its nodes is
# deleted in turn under load. Use FILTER to lower the resource requests on a small cluster.
#
# Environment, in addition to that of k8s/e2e_lib.sh:
#   OVERLAY   folder to apply   (k8s/overlays/production)
#
# Exits non-zero if a request fails, also with 503, or a command is lost.
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
