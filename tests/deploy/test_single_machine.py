"""The systemd unit and the Compose file of the service without Qdrant, and docs/deployment.md."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from lookalike.api.protocol import MAX_CONNECTIONS
from lookalike.api.server import STOP_SECONDS
from lookalike.cli import cli
from lookalike.cli.settings import Settings
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "deployment.md").read_text("utf-8")
UNIT = ROOT / "deploy" / "lookalike.service"
COMPOSE: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy" / "compose.folder.yaml").read_text("utf-8")
)


def settings_of(unit: str) -> dict[str, str]:
    """Returns the settings of a unit, of which each occurs once."""
    pairs = re.findall(r"^(\w+)=(.*)$", unit, re.M)
    settings = dict(pairs)
    assert len(settings) == len(pairs)
    return settings


def test_the_unit_s_command_is_valid() -> None:
    settings = settings_of(UNIT.read_text("utf-8"))
    program, command, *options = shlex.split(settings["ExecStart"])
    assert program in PAGE.replace("bin/pip", "bin/lookalike")
    params = cli.commands[command].make_context(command, options).params
    assert (params["host"], params["log_level"]) == ("127.0.0.1", "info")
    environment = dict(pair.split("=", 1) for pair in shlex.split(settings["Environment"]))
    state = Path("/var/lib", settings["StateDirectory"])
    assert Path(Settings.from_environment(environment).index).is_relative_to(state)
    assert Path(environment["HOME"]) == state  # caches are in there, too
    assert "/etc/lookalike.env" in PAGE
    assert settings["EnvironmentFile"] == "/etc/lookalike.env"  # required: no service without keys


def test_the_unit_leaves_time_and_files() -> None:
    settings = settings_of(UNIT.read_text("utf-8"))
    assert float(settings["TimeoutStopSec"]) > STOP_SECONDS + 1
    assert int(settings["LimitNOFILE"]) > 2 * MAX_CONNECTIONS
    files = COMPOSE["services"]["lookalike"]["ulimits"]["nofile"]
    assert files > 2 * MAX_CONNECTIONS


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/lookalike/bin/lookalike", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert rated.returncode == 0, rated.stdout


def test_the_container_s_command_is_valid() -> None:
    (service,) = COMPOSE["services"].values()
    assert "qdrant" not in str(COMPOSE).lower()
    command, *options = service["command"]
    context = cli.commands[command].make_context(command, [*options, "--root=/"])
    assert context.params["host"] == "0.0.0.0"  # noqa: S104 -- of the container
    settings = Settings.from_environment(service["environment"])
    assert (settings.write_key or "").startswith("${LOOKALIKE_WRITE_KEY:?")
    assert service["ports"] == ["${LOOKALIKE_BIND:-127.0.0.1}:8765:8765"]
    volume, target = service["volumes"][0].split(":")
    assert volume in COMPOSE["volumes"]
    assert Path(settings.index).is_relative_to(target)
    roots = [option.partition("=")[2] for option in options if option.startswith("--root=")]
    assert roots == [service["volumes"][1].removesuffix(":ro").rpartition(":")[2]]
    assert service["read_only"]
    assert "ENV PATH" in (ROOT / service["build"]["dockerfile"]).read_text("utf-8")


@pytest.mark.skipif(
    subprocess.run(["docker", "compose", "version"], capture_output=True).returncode != 0
    if shutil.which("docker")
    else True,
    reason="needs docker compose",
)
def test_compose_accepts_the_file() -> None:
    subprocess.run(
        ["docker", "compose", "-f", str(ROOT / "deploy" / "compose.folder.yaml"), "config", "-q"],
        check=True,
        env={"LOOKALIKE_WRITE_KEY": "key", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        timeout=60,
    )


def test_the_pages_name_files_that_exist() -> None:
    others = ("cluster.md", "operations.md")
    pages = PAGE + "".join((ROOT / "docs" / name).read_text("utf-8") for name in others)
    mentioned = set(re.findall(r"deploy/(?:[\w.-]+\.(?:yaml|conf|service)|Dockerfile)", pages))
    assert mentioned == {f"deploy/{file.name}" for file in (ROOT / "deploy").iterdir()}
