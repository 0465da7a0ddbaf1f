"""Incoming copies are skipped or linked during ingest."""

from __future__ import annotations

from pathlib import Path

from lookalike.index import Index
from tests.duplicates.scenes import SCENES


def test_incoming_copies_can_be_skipped(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "skipping", model="built-in") as index:
        report = index.add(photos, copies="skip")
        assert (report.added, report.skipped) == (SCENES + 3, 4)
        assert report.done == SCENES + 7
        turned, sharper, whole = (copy for copy in report.copies if copy.holds_more)
        assert Path(turned.uri).name == "scene01 turned.jpg"  # of the quality of the mirrored one
        assert turned.holds_more == ("possibly finer detail",)
        assert Path(sharper.uri).name == "scene01.jpg"  # of a higher quality than the mirrored one
        assert sharper.holds_more == ("finer detail",)
        assert Path(whole.uri).name == "scene02.jpg"  # its crop came first
        assert Path(whole.of).name == "scene02 crop.jpg"
        assert "of the picture that the other lacks" in " ".join(whole.holds_more)
        of = {Path(copy.uri).stem[:7]: Path(copy.of).stem[:7] for copy in report.copies}
        assert of == {name: name for name in ("scene00", "scene01", "scene02")}
        assert len(list(index.duplicates())) == 2
        again = index.add(photos, copies="skip")
        assert (again.added, again.unchanged, again.skipped) == (0, SCENES + 3, 4)
        assert len(again.copies) == 4
        skipped = [copy for copy in report.copies if not copy.holds_more]
        index.delete([copy.of for copy in skipped])  # one copy may now come in
        last = index.add(photos, copies="skip")
        assert last.added >= 1
        assert last.added + last.skipped + last.unchanged == SCENES + 7


def test_incoming_copies_can_be_linked(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "linking", model="built-in") as index:
        report = index.add(photos, copies="link")
        assert (report.added, report.skipped, len(report.copies)) == (SCENES + 7, 0, 7)
        linked = {copy.uri: copy.of for copy in report.copies}
        for point in index.scroll():
            assert point.payload["image"].get("copy_of") == linked.get(point.id)
