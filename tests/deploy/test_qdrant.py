"""The files for Qdrant in deploy/ and docs/cluster.md, as far as they can be checked without
containers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from qdrant_client.common.version_check import is_compatible

from lookalike.api.middleware.admission import EXEMPT
from lookalike.api.options import Options
from lookalike.api.server import STOP_SECONDS
from lookalike.cli import cli
from lookalike.cli.settings import Settings
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.address import parse_address
from lookalike.engines.server.connection import LEAST_VERSION
from lookalike.index import Index
from tests.support.paths import ROOT
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import RestServer, Store

PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / name).read_text("utf-8"))
    return content


SINGLE, CLUSTER, HELM = read("compose.yaml"), read("compose.cluster.yaml"), read("helm-values.yaml")
KUBERNETES = {
    one["kind"]: one
    for one in yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8"))
}
BALANCER = CLUSTER["services"].pop("balancer")
ALL = [*SINGLE["services"].items(), *CLUSTER["services"].items()]
NODES = [(name, node) for name, node in ALL if name != "lookalike"]
SERVICES = [node for name, node in ALL if name == "lookalike"]
every_node = pytest.mark.parametrize("node", [node for _, node in NODES], ids=[n for n, _ in NODES])
every_service = pytest.mark.parametrize("service", SERVICES, ids=["single", "cluster"])
every_container = pytest.mark.parametrize(
    "node", [node for _, node in ALL], ids=[f"{i}-{name}" for i, (name, _) in enumerate(ALL)]
)

# From https://github.com/qdrant/qdrant/blob/master/config/config.yaml. Their names as environment
# variables: https://qdrant.tech/documentation/ops-configuration/configuration/
SETTINGS = {
    "cluster.enabled",
    "cluster.p2p.enable_tls",
    "cluster.p2p.port",
    "log_level",
    "service.api_key",
    "service.enable_tls",
    "service.grpc_port",
    "service.host",
    "service.http_port",
    "service.read_only_api_key",
    "storage.snapshots_path",
    "storage.storage_path",
    "telemetry_disabled",
}
# From https://github.com/qdrant/qdrant-helm: charts/qdrant/values.yaml and values.schema.json. Helm
# silently accepts any other name.
VALUES = {
    "affinity",
    "apiKey.valueFrom.secretKeyRef.key",
    "apiKey.valueFrom.secretKeyRef.name",
    "image.tag",
    "persistence.size",
    "podDisruptionBudget.enabled",
    "podDisruptionBudget.maxUnavailable",
    "replicaCount",
    "resources.limits",
    "resources.requests",
}


def leaves(tree: Any, path: str = "") -> Iterator[str]:
    """Yields the dotted path of every value that is not a mapping."""
    if not isinstance(tree, dict):
        yield path
        return
    for name, value in tree.items():
        yield from leaves(value, f"{path}.{name}" if path else name)


def published(node: dict[str, Any]) -> dict[int, int]:
    """Returns the ports of the container with those of the host that they are published under."""
    ports = (re.fullmatch(r"\$\{QDRANT_BIND:-127\.0\.0\.1\}:(\d+):(\d+)", p) for p in node["ports"])
    return {int(port[2]): int(port[1]) for port in ports if port}


@every_node
def test_the_settings_are_qdrant_s(node: dict[str, Any]) -> None:
    for name, value in node["environment"].items():
        prefix, *path = name.split("__")
        assert prefix == "QDRANT"
        assert ".".join(path).lower() in SETTINGS, name
        assert isinstance(value, str)  # Compose rejects a bare true as the value of a variable


@every_node
def test_no_server_starts_without_a_key(node: dict[str, Any]) -> None:
    assert node["environment"]["QDRANT__SERVICE__API_KEY"].startswith("${QDRANT_API_KEY:?")


@every_node
def test_ports_are_bound_to_this_machine_and_grpc_is_one_above_rest(node: dict[str, Any]) -> None:
    ports = published(node)
    assert len(ports) == len(node["ports"])  # each has an address to bind to
    assert ports == {6333: ports[6333], 6334: ports[6333] + 1}  # 6335 is not protected by the key


@every_node
def test_points_survive_the_container(node: dict[str, Any]) -> None:
    (volume,) = node["volumes"]
    name, _, target = volume.partition(":")
    assert target == "/qdrant/storage"
    assert name in {**SINGLE["volumes"], **CLUSTER["volumes"]}
    assert node["environment"]["QDRANT__STORAGE__SNAPSHOTS_PATH"].startswith(target + "/")
    assert node["restart"] == "unless-stopped"


@every_service
def test_the_command_of_the_service_is_valid(service: dict[str, Any]) -> None:
    command, *options = service["command"]
    context = cli.commands[command].make_context(command, [*options, "--root=/"])
    assert context.params["host"] == "0.0.0.0"  # noqa: S104 -- of the container
    settings = Settings.from_environment(service["environment"])
    nodes = SINGLE if service is SERVICES[0] else CLUSTER
    servers = [name for name in nodes["services"] if name != "lookalike"]
    assert settings.index == f"http://{','.join(f'{server}:6333' for server in servers)}/images"
    assert len(parse_address(settings.index, ServerOptions()).nodes) == len(servers)
    assert (settings.write_key or "").startswith("${LOOKALIKE_WRITE_KEY:?")
    assert (settings.api_key or "").startswith("${QDRANT_API_KEY:?")
    assert list(service["depends_on"]) == servers
    published = service if nodes is SINGLE else BALANCER
    assert published["ports"] == ["${LOOKALIKE_BIND:-127.0.0.1}:8765:8765"]
    assert context.params["port"] == 8765
    folders = [volume.rpartition(":/")[2].removesuffix(":ro") for volume in service["volumes"]]
    assert Path(context.params["uploads"]).parts[1] == folders[0]


class Recorder(dict[str, str]):
    """An environment that records the names that are read."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def test_the_names_of_our_settings_are_ours() -> None:
    recorder = Recorder()
    Settings.from_environment(recorder)
    own = {"HOME", "PATH", "PYTHONUNBUFFERED"}
    for file in (ROOT / "deploy").iterdir():
        text = file.read_text("utf-8")
        named = set(re.findall(r"\b(?:LOOKALIKE_\w+|QDRANT_API_KEY|FASTEMBED_\w+|HF_\w+)\b", text))
        assert named - recorder.names - {"LOOKALIKE_BIND"} == set(), file.name
    container = KUBERNETES["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    for names in (
        *(service["environment"] for service in SERVICES),
        [variable["name"] for variable in container["env"]],
        re.findall(r"^ENV (\w+)|^    (?=\w+=)(\w+)=", (ROOT / "deploy" / "Dockerfile").read_text()),
    ):
        flat = {name if isinstance(name, str) else "".join(name) for name in names}
        assert flat - recorder.names - own == set()


def test_two_services_stand_behind_one_address() -> None:
    assert SERVICES[1]["deploy"]["replicas"] == 2
    assert "ports" not in SERVICES[1]
    assert list(BALANCER["depends_on"]) == ["lookalike"]
    (mount,) = BALANCER["volumes"]
    assert mount == "./nginx.conf:/etc/nginx/nginx.conf:ro"
    conf = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    assert "server lookalike:8765 resolve" in conf
    assert "listen 8765" in conf
    assert int(re.search(r"client_max_body_size (\d+)m", conf)[1]) * 2**20 >= (  # type: ignore[index]
        Options(ROOT).max_upload_bytes
    )
    waits = int(re.search(r"proxy_read_timeout (\d+)s", conf)[1])  # type: ignore[index]
    assert waits > Options(ROOT).response_timeout


def test_kubernetes_runs_two_services_on_all_nodes_of_the_chart() -> None:
    deployment = KUBERNETES["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert deployment["replicas"] == 2
    command, *options = container["args"]
    params = cli.commands[command].make_context(command, options).params
    assert params["host"] == "0.0.0.0"  # noqa: S104 -- of the container
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts.values()) == set(volumes)
    claim = volumes[mounts[params["uploads"]]]["persistentVolumeClaim"]["claimName"]
    uploads = KUBERNETES["PersistentVolumeClaim"]
    assert uploads["metadata"]["name"] == claim
    assert uploads["spec"]["accessModes"] == ["ReadWriteMany"]
    environment = {one["name"]: one for one in container["env"]}
    hosts = [f"qdrant-{i}.qdrant-headless:6333" for i in range(HELM["replicaCount"])]
    assert environment["LOOKALIKE_INDEX"]["value"] == f"http://{','.join(hosts)}/images"
    secret = environment["QDRANT_API_KEY"]["valueFrom"]["secretKeyRef"]
    assert secret == HELM["apiKey"]["valueFrom"]["secretKeyRef"]
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == params["port"] == container["ports"][0]["containerPort"]
        assert asked["path"] in EXEMPT
    assert pod["terminationGracePeriodSeconds"] > STOP_SECONDS + 1
    labels = deployment["template"]["metadata"]["labels"]
    for one in (KUBERNETES["Service"]["spec"]["selector"], deployment["selector"]["matchLabels"]):
        assert one == labels
    assert KUBERNETES["Service"]["spec"]["ports"][0]["targetPort"] == params["port"]
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_the_image_copies_files_that_exist() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for sources in re.findall(r"^COPY (?!--)(.*) \S+$", lines, re.M):
        for name in sources.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in ignored
    extras = set(re.search(r'"\.\[(.*)\]"', lines)[1].split(","))  # type: ignore[index]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras <= project["optional-dependencies"].keys()
    assert all(service["build"]["dockerfile"] == "deploy/Dockerfile" for service in SERVICES)


def test_all_nodes_run_one_version_that_the_client_supports() -> None:
    images = {node["image"] for _, node in NODES}
    assert images == {f"qdrant/qdrant:{HELM['image']['tag']}"}
    number = HELM["image"]["tag"].removeprefix("v")
    assert is_compatible(version("qdrant-client"), number)
    assert tuple(map(int, number.split(".")[:2])) >= LEAST_VERSION


class Answer(BaseHTTPRequestHandler):
    def __init__(self, status: int | None, *args: Any) -> None:
        self.status = status
        super().__init__(*args)

    def do_GET(self) -> None:
        assert self.status
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@every_container
@pytest.mark.skipif(not shutil.which("bash"), reason="the health check needs bash")
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_the_health_check_reports_readiness(
    node: dict[str, Any], status: int | None, healthy: bool
) -> None:
    kind, *command = node["healthcheck"]["test"]
    assert kind == "CMD"
    with HTTPServer(("127.0.0.1", 0), partial(Answer, status)) as server:
        if status is None:
            server.server_close()
        else:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        command[-1] = re.sub(
            r"(?<=127\.0\.0\.1[:/])(6333|8765)", str(server.server_port), command[-1]
        )
        assert str(server.server_port) in command[-1]
        command[-1] = command[-1].replace("$$", "$")
        command[0] = {"python": sys.executable}.get(command[0], command[0])
        result = subprocess.run(command, capture_output=True, timeout=20)
        if status is not None:
            server.shutdown()
    assert (result.returncode == 0) is healthy


def test_three_nodes_join_through_the_first() -> None:
    nodes = {name: node for name, node in CLUSTER["services"].items() if name != "lookalike"}
    assert len(nodes) == 3
    first, *_ = nodes
    for name, node in nodes.items():
        binary, *arguments = node["command"]
        assert binary == "./qdrant"
        joins = {} if name == first else {"--bootstrap": f"http://{first}:6335"}
        assert dict(zip(arguments[::2], arguments[1::2], strict=True)) == {
            "--uri": f"http://{name}:6335",
            **joins,
        }
        assert node["environment"]["QDRANT__CLUSTER__ENABLED"] == "true"
        # After a full stop, no node is ready before the others run: waiting would never end.
        assert "depends_on" not in node
    assert len({node["volumes"][0] for node in nodes.values()}) == 3
    assert len({port for node in nodes.values() for port in published(node).values()}) == 6


def test_the_values_exist_in_the_chart() -> None:
    values = {name: value for name, value in HELM.items() if name != "config"}
    for path in leaves(values):
        assert any(path == known or path.startswith(known + ".") for known in VALUES), path
    assert set(leaves(HELM["config"])) <= SETTINGS
    assert HELM["config"]["cluster"]["enabled"]
    assert HELM["replicaCount"] == 3


def test_the_page_has_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.M))
    defaults = {field.name: field.default for field in fields(ServerOptions)}
    # Strings are written as in JSON, integers such as 10_000 as in Python.
    assert {name: yaml.safe_load(text.replace("None", "null")) for name, text in rows.items()} == (
        defaults
    )


def test_the_page_s_copy_with_replicas_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.search(r"```python\n(import os.*?)```", PAGE, re.S)
    assert code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "QDRANT_API_KEY", "secret")
    with Index.open("shop.index", model="built-in") as index:
        index.add(folder_of(tmp_path / "photos", 4))
    store = Store(api_key="secret", nodes=3)
    with closing(RestServer(store)) as server:
        exec(code[1].replace("http://localhost:6333/shop", server.url), {})  # noqa: S102 -- ours
        assert "images=4" in capsys.readouterr().out
        with Index.open(server.url, server=ServerOptions(api_key="secret")) as index:
            assert len(index) == 4
    assert [collection.replication_factor for collection in store.created.values()] == [2]
