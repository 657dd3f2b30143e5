"""Changes to the manifests, each of which violates exactly one rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.k8s import availability, network, rules
from tests.k8s.availability import Rule
from tests.k8s.render import find

Object = dict[str, Any]


# What the promises are worth: each break is noticed, by its own rule and by no other


def pod(objects: list[Object], name: str = "Deployment/overmind") -> Object:
    spec: Object = find(objects, name)["spec"]["template"]["spec"]
    return spec


def web(objects: list[Object]) -> Object:
    return next(each for each in pod(objects)["containers"] if each["name"] == "overmind")


def bootstrap(objects: list[Object]) -> Object:
    found: Object = pod(objects)["initContainers"][0]
    return found


def couchdb(objects: list[Object]) -> Object:
    found: Object = pod(objects, "StatefulSet/couchdb")["containers"][0]
    return found


def set_variable(container: Object, name: str, **source: Any) -> None:
    container.setdefault("env", []).append({"name": name, **source})


def mount(objects: list[Object], **source: Any) -> None:
    pod(objects)["volumes"].append({"name": "credential", **source})
    web(objects)["volumeMounts"].append({"name": "credential", "mountPath": "/credential"})


def add(objects: list[Object], kind: str, name: str, **fields: Any) -> None:
    objects.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields})


Violation = Callable[[list[Object]], Any]
VIOLATIONS: dict[str, tuple[Rule, Violation]] = {}


def violates(rule: Rule) -> Callable[[Violation], Violation]:
    """Register a violation of the rule under the function's name."""

    def register(function: Violation) -> Violation:
        VIOLATIONS[function.__name__] = (rule, function)
        return function

    return register


@violates(rules.containers_have_requests_and_limits)
def a_removed_limit(objects: list[Object]) -> None:
    del web(objects)["resources"]["limits"]["memory"]


@violates(rules.containers_have_requests_and_limits)
def an_init_container_without_requests(objects: list[Object]) -> None:
    del bootstrap(objects)["resources"]["requests"]


@violates(rules.containers_run_as_a_numeric_non_root_user)
def a_root_pod(objects: list[Object]) -> None:
    pod(objects)["securityContext"]["runAsUser"] = 0


@violates(rules.containers_run_as_a_numeric_non_root_user)
def a_root_container_in_a_good_pod(objects: list[Object]) -> None:
    couchdb(objects)["securityContext"]["runAsUser"] = 0


@violates(rules.containers_run_as_a_numeric_non_root_user)
def a_user_without_a_number(objects: list[Object]) -> None:
    del pod(objects)["securityContext"]["runAsUser"]


@violates(rules.containers_run_as_a_numeric_non_root_user)
def a_container_that_may_be_root(objects: list[Object]) -> None:
    web(objects)["securityContext"]["runAsNonRoot"] = False


@violates(rules.root_file_systems_are_read_only)
def a_dropped_read_only_root(objects: list[Object]) -> None:
    del couchdb(objects)["securityContext"]["readOnlyRootFilesystem"]


@violates(rules.privilege_escalation_is_disabled)
def a_container_that_can_gain_privileges(objects: list[Object]) -> None:
    del web(objects)["securityContext"]["allowPrivilegeEscalation"]


@violates(rules.capabilities_are_dropped)
def capabilities_not_dropped(objects: list[Object]) -> None:
    del bootstrap(objects)["securityContext"]["capabilities"]


@violates(rules.capabilities_are_dropped)
def a_capability_added_again(objects: list[Object]) -> None:
    web(objects)["securityContext"]["capabilities"]["add"] = ["NET_ADMIN"]


@violates(rules.seccomp_is_enabled)
def a_pod_without_seccomp(objects: list[Object]) -> None:
    del pod(objects)["securityContext"]["seccompProfile"]


@violates(rules.seccomp_is_enabled)
def an_unconfined_container(objects: list[Object]) -> None:
    web(objects)["securityContext"]["seccompProfile"] = {"type": "Unconfined"}


@violates(rules.no_service_account_token_is_mounted)
def a_pod_with_a_token(objects: list[Object]) -> None:
    del pod(objects)["automountServiceAccountToken"]


@violates(rules.no_service_account_token_is_mounted)
def an_account_with_tokens(objects: list[Object]) -> None:
    find(objects, "ServiceAccount/couchdb")["automountServiceAccountToken"] = True


@violates(rules.no_secret_is_in_a_manifest)
def a_secret_object(objects: list[Object]) -> None:
    add(objects, "Secret", "overmind", data={})


@violates(rules.no_secret_is_in_a_manifest)
def a_literal_password_in_a_variable(objects: list[Object]) -> None:
    set_variable(web(objects), "COUCHDB_PASSWORD", value="hunter2")


@violates(rules.no_secret_is_in_a_manifest)
def a_literal_cookie_in_a_variable(objects: list[Object]) -> None:
    set_variable(couchdb(objects), "COUCHDB_ERLANG_COOKIE", value="monster")


@violates(rules.no_secret_is_in_a_manifest)
def a_password_in_a_config_map(objects: list[Object]) -> None:
    add(objects, "ConfigMap", "couchdb-more", data={"password": "hunter2"})


@violates(rules.no_secret_is_in_a_manifest)
def a_secret_in_a_file_of_a_config_map(objects: list[Object]) -> None:
    file = "[chttpd_auth]\nsecret = hunter2\n"
    add(objects, "ConfigMap", "couchdb-more", data={"auth.ini": file})


@violates(rules.no_secret_is_in_a_manifest)
def an_account_in_a_url(objects: list[Object]) -> None:
    set_variable(web(objects), "COUCHDB_URL", value="http://admin:hunter2@couchdb:5984")


@violates(rules.images_are_pinned)
def a_latest_image(objects: list[Object]) -> None:
    couchdb(objects)["image"] = "registry.example:5000/couchdb:latest"


@violates(rules.images_are_pinned)
def an_image_without_a_tag(objects: list[Object]) -> None:
    couchdb(objects)["image"] = "registry.example:5000/couchdb"


@violates(rules.our_images_are_of_this_version)
def an_image_of_another_version(objects: list[Object]) -> None:
    bootstrap(objects)["image"] = "registry.example/overmind:2.0.0"


@violates(rules.selectors_use_only_app_and_tier)
def a_deployment_selected_by_its_recommended_name(objects: list[Object]) -> None:
    labels = find(objects, "Deployment/overmind")["spec"]["selector"]["matchLabels"]
    labels["app.kubernetes.io/name"] = "overmind"


@violates(rules.selectors_use_only_app_and_tier)
def a_deployment_selected_by_less(objects: list[Object]) -> None:
    del find(objects, "Deployment/overmind")["spec"]["selector"]["matchLabels"]["tier"]


@violates(rules.selectors_use_only_app_and_tier)
def a_service_by_a_recommended_name(objects: list[Object]) -> None:
    find(objects, "Service/couchdb")["spec"]["selector"]["app.kubernetes.io/name"] = "couchdb"


@violates(rules.selectors_use_only_app_and_tier)
def a_service_without_pods(objects: list[Object]) -> None:
    find(objects, "Service/overmind")["spec"]["selector"]["tier"] = "www"


@violates(rules.selectors_use_only_app_and_tier)
def a_budget_without_pods(objects: list[Object]) -> None:
    budget = find(objects, "PodDisruptionBudget/overmind")
    budget["spec"]["selector"]["matchLabels"]["app"] = "overlord"


@violates(rules.selectors_use_only_app_and_tier)
def a_policy_that_admits_no_pod(objects: list[Object]) -> None:
    peer = find(objects, "NetworkPolicy/couchdb")["spec"]["ingress"][0]["from"][0]
    peer["podSelector"]["matchLabels"]["app"] = "overlord"


@violates(rules.selectors_use_only_app_and_tier)
def a_spread_over_other_pods(objects: list[Object]) -> None:
    labels = pod(objects)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]
    labels |= {"app": "couchdb", "tier": "db"}


@violates(rules.probes_request_existing_urls)
def a_wrong_probe_path(objects: list[Object]) -> None:
    web(objects)["livenessProbe"]["httpGet"]["path"] = "/health"


@violates(rules.probes_request_existing_urls)
def a_readiness_probe_that_depends_on_the_store(objects: list[Object]) -> None:
    web(objects)["readinessProbe"]["httpGet"]["path"] = "/readyz"


@violates(rules.probes_request_existing_urls)
def a_missing_startup_probe(objects: list[Object]) -> None:
    del web(objects)["startupProbe"]


@violates(rules.pods_have_time_to_stop)
def a_too_short_grace_period(objects: list[Object]) -> None:
    pod(objects)["terminationGracePeriodSeconds"] = 30


@violates(rules.pods_have_time_to_stop)
def a_grace_period_left_to_kubernetes(objects: list[Object]) -> None:
    del pod(objects)["terminationGracePeriodSeconds"]


@violates(rules.pods_have_time_to_stop)
def no_pause_before_the_stop(objects: list[Object]) -> None:
    del web(objects)["lifecycle"]


@violates(rules.the_web_container_has_no_admin_credentials)
def the_admin_by_a_variable(objects: list[Object]) -> None:
    reference = {"secretKeyRef": {"name": "couchdb-password", "key": "password"}}
    set_variable(web(objects), "COUCHDB_PASSWORD", valueFrom=reference)


@violates(rules.the_web_container_has_no_admin_credentials)
def the_admin_by_a_variable_name(objects: list[Object]) -> None:
    reference = {"secretKeyRef": {"name": "overmind-couchdb", "key": "admin"}}
    set_variable(web(objects), "COUCHDB_ADMIN_PASSWORD", valueFrom=reference)


@violates(rules.the_web_container_has_no_admin_credentials)
def the_admin_by_a_whole_secret(objects: list[Object]) -> None:
    web(objects)["envFrom"] = [{"secretRef": {"name": "couchdb-password"}}]


@violates(rules.the_web_container_has_no_admin_credentials)
def the_admin_by_a_volume(objects: list[Object]) -> None:
    mount(objects, secret={"secretName": "couchdb-password"})


@violates(rules.the_web_container_has_no_admin_credentials)
def the_admin_by_a_projected_volume(objects: list[Object]) -> None:
    source = {"secret": {"name": "couchdb-password"}}
    pod(objects)["volumes"].append({"name": "all", "projected": {"sources": [source]}})


@violates(network.only_named_pods_connect_to_couchdb)
def a_policy_that_lets_every_pod_connect(objects: list[Object]) -> None:
    del find(objects, "NetworkPolicy/couchdb")["spec"]["ingress"][0]["from"]


@violates(network.only_named_pods_connect_to_couchdb)
def a_policy_that_lets_every_namespace_connect(objects: list[Object]) -> None:
    rule = find(objects, "NetworkPolicy/couchdb")["spec"]["ingress"][0]
    rule["from"].append({"namespaceSelector": {}})


@violates(network.only_named_pods_connect_to_couchdb)
def a_policy_for_all_pods_that_lets_every_pod_connect(objects: list[Object]) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    add(objects, "NetworkPolicy", "open", spec=spec)


@violates(network.only_named_pods_connect_to_couchdb)
def a_policy_for_egress_only(objects: list[Object]) -> None:
    find(objects, "NetworkPolicy/couchdb")["spec"]["policyTypes"] = ["Egress"]


@violates(rules.variables_are_known_to_the_settings)
def an_unknown_variable(objects: list[Object]) -> None:
    set_variable(bootstrap(objects), "OVERMIND_BOOTSTRAP_TIMOUT", value="0")


@violates(rules.variables_are_known_to_the_settings)
def an_unknown_variable_of_a_config_map(objects: list[Object]) -> None:
    add(objects, "ConfigMap", "overmind", data={"THREADS": "8", "STORES": "two"})
    web(objects)["envFrom"] = [{"prefix": "OVERMIND_", "configMapRef": {"name": "overmind"}}]


@violates(availability.rollouts_keep_every_pod_available)
def a_rollout_that_removes_a_pod_first(objects: list[Object]) -> None:
    find(objects, "Deployment/overmind")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 1


@violates(availability.rollouts_keep_every_pod_available)
def a_rollout_that_recreates(objects: list[Object]) -> None:
    find(objects, "Deployment/overmind")["spec"]["strategy"] = {"type": "Recreate"}


@violates(availability.rollouts_keep_every_pod_available)
def a_pod_that_is_available_immediately(objects: list[Object]) -> None:
    del find(objects, "Deployment/overmind")["spec"]["minReadySeconds"]


@violates(availability.no_disruption_budget_blocks_a_single_pod)
def a_budget_for_one_couchdb(objects: list[Object]) -> None:
    find(objects, "StatefulSet/couchdb")["spec"]["replicas"] = 1
    labels = {"app": "couchdb", "tier": "db"}
    add(objects, "PodDisruptionBudget", "one", spec={"selector": {"matchLabels": labels}})


@violates(availability.replicas_spread_over_zones_and_machines)
def replicas_in_one_zone(objects: list[Object]) -> None:
    del pod(objects)["topologySpreadConstraints"][0]


@violates(availability.replicas_spread_over_zones_and_machines)
def a_spread_that_counts_the_old_revision(objects: list[Object]) -> None:
    del pod(objects)["topologySpreadConstraints"][1]["matchLabelKeys"]


@violates(availability.replicas_spread_over_zones_and_machines)
def couchdb_nodes_on_one_machine(objects: list[Object]) -> None:
    find(objects, "StatefulSet/couchdb")["spec"]["replicas"] = 3
    spread = {
        "topologyKey": "topology.kubernetes.io/zone",
        "labelSelector": {"matchLabels": {"app": "couchdb", "tier": "db"}},
    }
    pod(objects, "StatefulSet/couchdb")["topologySpreadConstraints"] = [spread]


@violates(availability.changed_settings_restart_their_pods)
def a_config_map_that_keeps_its_name(objects: list[Object]) -> None:
    volume = {"name": "more", "configMap": {"name": "couchdb-settings"}}
    pod(objects, "StatefulSet/couchdb")["volumes"].append(volume)


@violates(availability.pods_that_are_not_ready_do_not_block_a_drain)
def a_budget_that_keeps_broken_pods(objects: list[Object]) -> None:
    del find(objects, "PodDisruptionBudget/overmind")["spec"]["unhealthyPodEvictionPolicy"]


@violates(availability.volumes_are_retained)
def a_scaled_down_couchdb_that_loses_its_data(objects: list[Object]) -> None:
    policy = find(objects, "StatefulSet/couchdb")["spec"]["persistentVolumeClaimRetentionPolicy"]
    policy["whenScaled"] = "Delete"
