"""The contract of sources: every source that can be opened, in all forms of its addresses.

A new source needs a module in `tests.contract.sources`, named after its scheme, and nothing here.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lookalike.errors import ImageRejected, LookalikeError
from lookalike.index import Index
from lookalike.ingest.listing import list_images
from lookalike.ingest.partition import DivisibleSource, parts_of
from lookalike.protocols import Source
from lookalike.sources import open_source, read_image, schemes
from tests.contract.sources import SourceSample
from tests.support.pictures import folder_of

DOCUMENTED = "zip"
"""The source that docs/sources.md shows."""
NAMES = (*(f"a/{i:03}.jpg" for i in range(3)), *(f"b/c/{i:03}.jpg" for i in range(3, 6)))
FILES = (*NAMES, "b/010.jpg", "b/011 ü%.jpg")


def module_of(scheme: str) -> ModuleType:
    try:
        return import_module(f"tests.contract.sources.{scheme}")
    except ModuleNotFoundError:
        raise AssertionError(
            f"the source of {scheme}:// has no sample: add tests/contract/sources/{scheme}.py"
        ) from None


def forms(*, most: int | None = None) -> Iterator[Any]:
    for scheme in (*schemes(), DOCUMENTED):
        module = module_of(scheme)
        marks = [pytest.mark.slow] if module.SLOW else []
        for form in module.FORMS[:most]:
            yield pytest.param((scheme, form), id=f"{scheme}-{form}", marks=marks)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = folder_of(tmp_path_factory.mktemp("pictures"), len(FILES))
    return dict(zip(FILES, (p.read_bytes() for p in sorted(folder.iterdir())), strict=True))


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], SourceSample]]:
    """Starts the sample of a scheme, once."""
    running: dict[str, SourceSample] = {}
    with ExitStack() as stack:

        def start(scheme: str) -> SourceSample:
            if scheme not in running:
                sample = module_of(scheme).Sample(tmp_path_factory.mktemp(scheme))
                running[scheme] = stack.enter_context(sample)
            return running[scheme]

        yield start


@pytest.fixture(params=forms())
def place(
    request: pytest.FixtureRequest,
    started: Callable[[str], SourceSample],
    files: Mapping[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[SourceSample, Source]:
    """A sample with the files, and the source in a form of its address."""
    scheme, form = request.param
    sample = started(scheme)
    for name, value in sample.environment.items():
        monkeypatch.setenv(name, value)
    sample.fill(files)
    return sample, sample.open(form)


@pytest.fixture
def source(place: tuple[SourceSample, Source]) -> Source:
    return place[1]


@pytest.fixture
def sample(place: tuple[SourceSample, Source]) -> SourceSample:
    return place[0]


def name_of(uri: str) -> str:
    return next(name for name in FILES if uri.endswith(name))


def test_it_lists_each_image_once_in_an_order_that_stays(source: Source) -> None:
    refs = list(source.refs())
    assert len({ref.uri for ref in refs}) == len(refs) >= 2
    assert list(source.refs()) == refs
    assert not source.incomplete
    assert not source.passed_over


def test_what_it_lists_it_has_covers_and_reads(source: Source, files: Mapping[str, bytes]) -> None:
    assert source.readers >= 1
    for ref in source.refs():
        assert source.covers(ref.uri)
        assert source.has(ref.uri)
        assert source.exists(ref.uri)
        assert not source.excludes(ref.uri)
        assert source.read(ref) == files[name_of(ref.uri)]
        assert ref.size == len(files[name_of(ref.uri)])
        assert ref.etag
        assert ref.uri.startswith(source.root) or source.root == str(Path.cwd())


def test_an_image_has_an_address_of_its_own(source: Source, files: Mapping[str, bytes]) -> None:
    for ref in source.refs():
        assert read_image(ref.uri) == files[name_of(ref.uri)]
        assert [one.uri for one in open_source(ref.uri).refs()] == [ref.uri]


def test_what_is_gone_it_covers_and_has_not(
    source: Source, sample: SourceSample, files: Mapping[str, bytes]
) -> None:
    ref = next(source.refs())
    sample.fill({name: data for name, data in files.items() if not ref.uri.endswith(name)})
    with pytest.raises(ImageRejected, match="unreadable: "):
        source.read(ref)
    assert source.covers(ref.uri)
    assert not source.has(ref.uri)


def test_what_is_elsewhere_is_none_of_its(source: Source, sample: SourceSample) -> None:
    assert [uri for uri in sample.elsewhere if source.covers(uri) or source.has(uri)] == []


def test_the_etag_changes_with_the_file(
    source: Source, sample: SourceSample, files: Mapping[str, bytes]
) -> None:
    before = {ref.uri: ref.etag for ref in source.refs()}
    changed = next(iter(before))
    data = files[name_of(changed)]
    sample.fill({**files, name_of(changed): data[:-1] + bytes([data[-1] ^ 1])})  # of the same size
    after = {ref.uri: ref.etag for ref in source.refs()}
    assert after.keys() == before.keys()
    assert after[changed] != before[changed]


def test_another_process_can_read_it(source: Source) -> None:
    copy: Source = pickle.loads(pickle.dumps(source))  # noqa: S301
    refs = list(source.refs())
    assert [copy.read(ref) for ref in refs] == [source.read(ref) for ref in refs]


def test_parts_are_the_whole(source: Source) -> None:
    expected = sorted(ref.uri for ref in source.refs())
    parts = [list_images(parts_of([source], (n, 2)), (n, 2)).images for n in (1, 2)]
    assert sorted(image.ref.uri for part in parts for image in part) == expected
    if isinstance(source, DivisibleSource):
        assert sorted(ref.uri for one in source.ranges(4) for ref in one.refs()) == expected


def test_where_nothing_is_the_address_is_named(source: Source) -> None:
    with pytest.raises(LookalikeError, match="nothing"):
        read_image(next(source.refs()).uri + ".nothing")


@pytest.mark.slow
@pytest.mark.parametrize("place", [*forms(most=1)], indirect=True)
def test_an_index_follows_it(
    source: Source, sample: SourceSample, files: Mapping[str, bytes], index: Index
) -> None:
    uris = [ref.uri for ref in source.refs()]
    assert index.add(source.root).added == len(uris) == len(FILES)
    sample.fill(dict(list(files.items())[1:]))
    report = index.add(source.root, prune=True, yes=True)
    assert (report.unchanged, report.removed) == (len(uris) - 1, 1)
    assert index.thumbnail(uris[-1], 64).startswith(b"\xff\xd8")
