"""Backup files from anywhere: nothing is allocated because a file says so, nothing is restored from
a file that no lookalike wrote, and the error is one sentence."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.admin.copy import restore
from lookalike.errors import IndexDamaged
from tests.admin.indexes import At
from tests.support.paths import ROOT

ROWS = 120
PAYLOADS = "00000000/payload.jsonl"
STYLE = "00000000/style.npy"
PHASH = "00000000/phash.npy"

Parts = dict[str, bytes]
Change = Callable[[Parts], object]


def forged(saved: Path, file: Path, change: Change, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A backup after a change, with the right checksum."""
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    del parts["end.json"]
    change(parts)
    digest = hashlib.sha256(b"".join(parts.values())).hexdigest()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in {**parts, "end.json": json.dumps({"sha256": digest}).encode()}.items():
            made.writestr(name, data)
    return file


def manifest(change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(parts: Parts) -> None:
        about = json.loads(parts["backup.json"])
        change(about["manifest"])
        parts["backup.json"] = json.dumps(about).encode()

    return apply


def payload(change: Callable[[dict[str, Any]], object]) -> Change:
    """Changes the payload in the fourth line."""

    def apply(parts: Parts) -> None:
        lines = parts[PAYLOADS].split(b"\n")
        one = json.loads(lines[3])
        change(one)
        lines[3] = json.dumps(one).encode()
        parts[PAYLOADS] = b"\n".join(lines)

    return apply


def line(text: bytes) -> Change:
    """Replaces the fourth line of the payloads."""

    def apply(parts: Parts) -> None:
        lines = parts[PAYLOADS].split(b"\n")
        parts[PAYLOADS] = b"\n".join([*lines[:3], text, *lines[4:]])

    return apply


def array(name: str, content: Any) -> Change:
    data = io.BytesIO()
    np.save(data, content)
    return lambda parts: parts.update({name: data.getvalue()})


def header(shape: str) -> Change:
    """An array whose header says that it is larger than it is."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
    return lambda parts: parts.update({STYLE: start + text.encode() + b"\0" * 96 * ROWS})


def styles(value: float) -> Any:
    content = np.full((ROWS, 24), 24**-0.5, np.float32)
    content[5, 5] = value
    return content


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, Change] = {
    "a vector of a billion dimensions": manifest(
        lambda m: m["vectors"]["style"].update(size=10**9)
    ),
    "a vector of text": manifest(lambda m: m["vectors"]["style"].update(size="24")),
    "a vector of an unknown type": manifest(lambda m: m["vectors"]["style"].update(datatype="U9")),
    "a vector with a path for a name": manifest(
        lambda m: m["vectors"].update({"../x": m["vectors"]["style"] | {"name": "../x"}})
    ),
    "a field with a reserved name": manifest(
        lambda m: m["fields"].update({"image.uri": {"type": "integer"}})
    ),
    "a manifest that is a list": lambda parts: parts.update(
        {"backup.json": b'{"version": 1, "images": 1, "manifest": [1]}'}
    ),
    "a number of images that is none": lambda parts: parts.update(
        {"backup.json": parts["backup.json"].replace(b'"images": 120', b'"images": "x"')}
    ),
    "an array larger than its part": header(f"({10**9}, 24)"),
    "an array of another shape": header("(24, 120)"),
    "an array of objects": array(STYLE, np.full((ROWS, 24), None, object)),
    "an array of another type": array(STYLE, np.ones((ROWS, 24), np.float64)),
    "an array in columns": array(STYLE, np.asfortranarray(styles(0.2))),
    "too few vectors": array(STYLE, styles(0.2)[1:]),
    "a vector that is not a number": array(STYLE, styles(float("nan"))),
    "a vector of another length": array(STYLE, styles(2.0)),
    "a payload without a record": payload(lambda one: one.pop("image")),
    "a record without a checksum": payload(lambda one: one["image"].pop("sha256")),
    "a record with a list for an id": payload(lambda one: one["image"].update(id=["x"])),
    "a record with a text for a width": payload(lambda one: one["image"].update(width="9")),
    "a field of another type": payload(lambda one: one.update(n="x")),
    "a list for a payload": line(b"[1]"),
    "a payload that is no JSON": line(b"{"),
    "a number that JSON does not have": payload(lambda one: one.update(x=float("nan"))),
    "a number of 70 bits": payload(lambda one: one.update(x=2**70)),
    "a number of 5,000 digits": line(b'{"x": ' + b"9" * 5000 + b"}"),
    "a text that is not Unicode": payload(lambda one: one.update(x="\ud800")),
    "a payload 100 levels deep": payload(lambda one: one.update(x=nested(100))),
    "a payload a million levels deep": line(b"[" * 10**6),
    "a block of too many lines": lambda parts: parts.update({PAYLOADS: b"{}\n" * 1000 + b"{}"}),
    "a part of 60 MB": lambda parts: parts.update({PAYLOADS: b" " * 60_000_000}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_is_restored(what: str, saved: Path, tmp_path: Path, place: At) -> None:
    target = place(tmp_path / "target")
    with pytest.raises(IndexDamaged) as caught:
        restore(forged(saved, tmp_path / "file", HOSTILE[what]), target)
    assert not (tmp_path / "target").exists()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_another_compression_is_refused(saved: Path, tmp_path: Path, place: At) -> None:
    file = forged(saved, tmp_path / "file", lambda parts: None, zipfile.ZIP_BZIP2)
    with pytest.raises(IndexDamaged, match="compressed in another way"):
        restore(file, place(tmp_path / "target"))


def test_parts_that_overlap_are_refused(saved: Path, tmp_path: Path, place: At) -> None:
    """As in a bomb whose many parts share one content."""
    file = tmp_path / "file"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("backup.json", b'{"version": 1, "images": 1, "manifest": {}}')
        made.writestr("00000000/payload.jsonl", np.random.default_rng(0).bytes(100_000))
        (_, shared) = made.infolist()
        for i in range(1, 50):
            other = zipfile.ZipInfo(f"{i:08}/payload.jsonl")
            for name in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(other, name, getattr(shared, name))
            made.filelist.append(other)
            made.NameToInfo[other.filename] = other
    with pytest.raises(IndexDamaged, match="overlap"):
        restore(file, place(tmp_path / "target"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize(
    "bomb",
    [
        line(b"[" + b"[]," * 5_000_000 + b"[]]"),
        lambda parts: parts.update({STYLE: b"\0" * (4 * 10**8)}),
        header(f"({10**10}, 24)"),
    ],
    ids=["JSON", "zeros", "shape"],
)
def test_a_bomb_takes_little_memory(bomb: Change, saved: Path, tmp_path: Path) -> None:
    file = forged(saved, tmp_path / "file", bomb)
    assert file.stat().st_size < 3_000_000
    code = (
        "import re, sys; from pathlib import Path; from lookalike.cli import cli\n"
        "from lookalike.errors import LookalikeError\n"
        "try: cli.main(['restore', sys.argv[1], '--index', sys.argv[2]], standalone_mode=False)\n"
        "except LookalikeError as error: print(error)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(tmp_path / "target")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    error, kilobytes = done.stdout.splitlines()
    assert "is not a backup, or it is cut short or damaged" in error
    assert int(kilobytes) < 800_000
