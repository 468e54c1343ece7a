"""What the files in kubernetes/ say: Kubernetes takes them, and they run what the compose file runs, as safely."""

import importlib.util
import re
import shlex

import kubernetes_validate
import pytest
import yaml

from gristmill.config.settings import Settings, load, variable
from tests.support.examples import PROJECT

FILES = sorted((PROJECT / "kubernetes").glob("*.yaml"))
THINGS = [thing for path in FILES for thing in yaml.safe_load_all(path.read_text())]
KEDA = "keda.sh/v1alpha1"
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
PODS = {
    thing["metadata"]["name"]: thing["spec"]["template"]["spec"]
    for thing in THINGS
    if thing["kind"] in ("Deployment", "StatefulSet")
}


def one(kind, name):
    (thing,) = [thing for thing in THINGS if (thing["kind"], thing["metadata"]["name"]) == (kind, name)]
    return thing


def container(pod):
    (only,) = PODS[pod]["containers"]
    return only


def environment(pod):
    return {entry["name"]: entry["value"] for entry in container(pod).get("env", ()) if "value" in entry}


def secrets(pod):
    (volume,) = [volume["secret"] for volume in PODS[pod]["volumes"] if "secret" in volume]
    return volume


@pytest.mark.parametrize("version", ["1.28", "1.34"])
def test_kubernetes_takes_them(version):
    own = [thing for thing in THINGS if thing["apiVersion"] != KEDA]
    assert {thing["kind"] for thing in own} == {"Service", "StatefulSet", "Deployment", "NetworkPolicy"}
    for thing in own:
        kubernetes_validate.validate(thing, version, strict=True)


def test_a_field_that_kubernetes_does_not_have_is_refused():
    wrong = one("Deployment", "cpu") | {"replica": 1}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_pods_run_what_compose_runs():
    assert PODS.keys() == {"redis", "cpu", "io", "flower"}
    for pod in PODS:
        ours, theirs = container(pod), COMPOSE[pod]
        assert ours.get("command") == theirs.get("entrypoint"), pod
        assert ours["image"] == re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", theirs["image"])
        expected = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", word) for word in theirs.get("command", [])]
        assert ours.get("args", []) == expected, pod


def test_entry_points_and_checks_exist():
    for pod in ("cpu", "io", "flower"):
        ours = container(pod)
        probes = [ours[probe].get("exec", {}).get("command") for probe in ("livenessProbe", "readinessProbe")]
        for command in filter(None, [ours["command"], *probes]):
            assert importlib.util.find_spec(command[command.index("-m") + 1])
    dockerfile = (PROJECT / "Dockerfile").read_text()
    check = re.search(r"HEALTHCHECK .* CMD (\[.*\])", dockerfile)[1]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container("cpu")[probe]["exec"]["command"] == yaml.safe_load(check)
    # As Docker's: each start of Python takes its time on a busy node.
    assert container("cpu")["livenessProbe"]["timeoutSeconds"] == 20
    shell = container("redis")["readinessProbe"]["exec"]["command"][-1]
    assert COMPOSE["redis"]["healthcheck"]["test"].replace("$$", "$") == shell
    assert shlex.split(shell)


def test_every_variable_is_a_setting_and_every_value_is_good():
    names = {variable(field) for field in Settings.model_fields}
    for pod in PODS:
        own = environment(pod)
        assert {name.removesuffix("_FILE") for name in own} <= names
        load({name: value for name, value in own.items() if not name.endswith("_FILE")})
        for name, value in own.items():
            assert name.endswith("_FILE") == value.startswith("/run/secrets/")
            theirs = COMPOSE[pod]["environment"].get(name)
            assert theirs is None or value == re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(theirs))


def test_secrets_are_files_that_make_secrets_writes_and_each_pod_has_its_own():
    script = (PROJECT / "bin" / "secrets").read_text()
    loops = re.findall(r"for name in ((?:\w+|\\\n|\s)+); do", script)
    written = set(" ".join(loops).replace("\\", "").split()) | {"redis.acl"}
    has = {pod: {item["key"] for item in secrets(pod)["items"]} for pod in PODS}
    assert has == {
        "redis": {"redis.acl", "redis_worker"},
        "cpu": {"redis_worker"},
        "io": {"redis_worker"},
        "flower": {"redis_dashboard", "metrics_token", "dashboard_password"},
    }
    for pod in PODS:
        assert has[pod] <= written
        assert all(item["key"] == item["path"] for item in secrets(pod)["items"])
        assert secrets(pod)["defaultMode"] == 0o440
        files = {value.removeprefix("/run/secrets/") for value in environment(pod).values() if "/run/" in value}
        assert files <= has[pod]
    documented = (PROJECT / "docs" / "scaling.md").read_text()
    for name in {"dashboard_operators", "dashboard_viewers"}.union(*has.values()):
        assert f"--from-file=secrets/{name}" in documented
    assert all(thing["kind"] != "Secret" for thing in THINGS)


def test_a_secret_without_the_lists_of_logins_is_enough():
    keys = {
        entry["name"]: entry["valueFrom"]["secretKeyRef"]
        for entry in container("flower")["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    }
    assert keys == {
        variable(name): {"name": "gristmill-secrets", "key": name, "optional": True}
        for name in ("dashboard_operators", "dashboard_viewers")
    }
    # Kubernetes gives the whole file as the value; an empty one counts as not set.
    lists = {
        "GRISTMILL_DASHBOARD_OPERATORS": "ann:correct horse\nbo:battery staple\n",
        "GRISTMILL_DASHBOARD_VIEWERS": "",
    }
    assert load(lists).dashboard_operators == {"ann": "correct horse", "bo": "battery staple"}


def test_pods_are_confined():
    for pod, spec in PODS.items():
        ours = container(pod)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == (999 if pod == "redis" else 1000)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert ours["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in ours["resources"]["limits"]
        mounted = {mount["name"] for mount in ours["volumeMounts"]}
        claims = {"data"} if pod == "redis" else set()
        assert mounted == {volume["name"] for volume in spec["volumes"]} | claims
    policy = one("NetworkPolicy", "redis")["spec"]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "redis"
    assert policy["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "gristmill"}}}
    ]


def test_kubernetes_waits_longer_than_a_worker_drains():
    for pod in ("cpu", "io"):
        assert PODS[pod]["terminationGracePeriodSeconds"] >= load({}).drain_seconds + 5


def test_selectors_select_their_own_pods():
    for thing in THINGS:
        labels = thing["metadata"]["labels"]
        if thing["kind"] == "Service":
            assert thing["spec"]["selector"] == labels
            (port,) = thing["spec"]["ports"]
            assert [port["port"]] == [port["containerPort"] for port in container(thing["metadata"]["name"])["ports"]]
        elif thing["kind"] in ("Deployment", "StatefulSet"):
            assert thing["spec"]["selector"]["matchLabels"] == thing["spec"]["template"]["metadata"]["labels"] == labels


def test_keda_scales_the_workers_from_no_pod():
    authentication = one("TriggerAuthentication", "gristmill-metrics")["spec"]["secretTargetRef"]
    assert authentication == [{"parameter": "token", "name": secrets("flower")["secretName"], "key": "metrics_token"}]
    for queue in ("cpu", "io"):
        spec = one("ScaledObject", queue)["spec"]
        assert spec["scaleTargetRef"] == {"name": queue}
        assert spec["minReplicaCount"] == 0
        # What KEDA and `kubectl apply` both set would go up and down.
        assert "replicas" not in one("Deployment", queue)["spec"]
        (trigger,) = spec["triggers"]
        assert trigger["authenticationRef"] == {"name": "gristmill-metrics"}
        assert trigger["metadata"]["url"] == "http://flower.mill:5555/metrics"
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
