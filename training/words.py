"""Fits the words of the built-in model: directions in its space, from WordNet, teacher and labels.

    python words.py --work DIR --out FILE [--data DIR] [--wordnet DIR]

A word is the set of ImageNet classes at or below its WordNet sense. The extent to which a picture
shows it is the logarithm of the sum of the teacher's probabilities of these classes; where a
picture has a label, the label wins. The word's direction is the ridge regression of this extent on
the model's vectors, so that a word is an ordinary query vector.

Every word is measured before it is shipped: the share of its ten best pictures that show it, each
ranked by a direction that was fitted without it. Words below a bound are left out.

Needs Debian's `wordnet-base` and the package lookalike. The vectors and the teacher's outputs are
kept in DIR; everything else takes a minute.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import word_pictures
from data import DATA
from numpy.typing import NDArray
from word_pictures import Picture

from lookalike.descriptors._words import LONGEST, tokens_of

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]
Offset = str
"""Number of a WordNet synset."""

SEED = 6
RIDGE = 3.0
FLOOR = -12.0  # logarithm of a probability below which differences mean nothing
FOLDS = 5
LEAST = {"labels": 0.2, "teacher": 0.4}
"""Least precision of a word by what it was measured with."""
LEAST_LABELED = 3  # pictures, for labels to decide
LIKELY = 0.01  # share of pictures that show a word if the teacher decides: the most likely ones
LARGEST = 450  # classes of a word; those above, such as "artifact", mean nothing to people


# --- WordNet --------------------------------------------------------------------------------


@dataclass
class WordNet:
    """The nouns of WordNet.

    Attributes:
        names: the words of each synset, the most frequent first.
        parents: the synsets directly above each.
        senses: the synsets of each word, the most frequent first.
        plurals: irregular plurals by word.
        counts: occurrences of each word in WordNet's texts.
    """

    names: dict[Offset, list[str]] = field(default_factory=dict)
    parents: dict[Offset, list[Offset]] = field(default_factory=dict)
    senses: dict[str, list[Offset]] = field(default_factory=dict)
    plurals: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def place(self, word: str) -> tuple[int, str]:
        """The place of a word among the names of a synset, which begin with the usual one."""
        spelled = [[name.lower() for name in self.names[one]] for one in self.senses.get(word, [])]
        return min((names.index(word) for names in spelled if word in names), default=0), word

    def above(self, offset: Offset) -> set[Offset]:
        """The synset itself and all above it."""
        found, waiting = set[Offset](), [offset]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.parents[one]
        return found


def read_wordnet(folder: Path) -> WordNet:
    net = WordNet()
    for line in _lines(folder / "data.noun"):
        parts = line.partition("|")[0].split()
        count = int(parts[3], 16)
        net.names[parts[0]] = [name.replace("_", " ") for name in parts[4 : 4 + 2 * count : 2]]
        rest = parts[5 + 2 * count :]
        net.parents[parts[0]] = [
            target for kind, target in zip(rest[::4], rest[1::4], strict=False) if kind in "@ @i"
        ]
    for line in _lines(folder / "index.noun"):
        parts = line.split()
        net.senses[parts[0].replace("_", " ")] = parts[-int(parts[2]) :]
    for line in _lines(folder / "noun.exc"):
        plural, *singulars = line.replace("_", " ").split()
        for singular in singulars:
            net.plurals[singular].append(plural)
    for line in _lines(folder / "cntlist.rev"):
        key, _, count = line.split()
        word, _, kind = key.partition("%")
        net.counts[word.replace("_", " ")] += int(count) if kind.startswith("1") else 0
    return net


def _lines(file: Path) -> Iterator[str]:
    return (
        line
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if not line.startswith("  ")
    )


# --- concepts -------------------------------------------------------------------------------


@dataclass
class Concept:
    """A meaning that one or several words have.

    Attributes:
        names: its words, the usual one first.
        classes: numbers of the teacher's classes.
        positive: pictures whose label says that they show it.
        negative: pictures whose label says that they do not.
        unknown: pictures of which it is not known.
        precision: measured by `measured_with`.
        measured_with: labels, or the teacher.
    """

    names: list[str]
    classes: list[int]
    positive: Mask
    negative: Mask
    unknown: Mask
    precision: float = 0.0
    measured_with: str = ""


def concepts(net: WordNet, wnids: Sequence[str], pictures: Sequence[Picture]) -> list[Concept]:
    """All concepts of classes, the synsets above them and labels."""
    below = defaultdict[Offset, list[int]](list)
    for number, wnid in enumerate(wnids):
        for offset in net.above(wnid.removeprefix("n")):
            below[offset].append(number)
    labeled = _labeled(net, pictures)
    own_label = {
        word: np.array([word in one.words for one in pictures])
        for word in {word for one in pictures for word in one.words}
    }
    known = np.array([bool(one.words) for one in pictures])
    sources = np.array([one.source for one in pictures])
    found: dict[tuple[object, ...], Concept] = {}
    labels = {word: _sense(net, word, below, labeled) for word in own_label}
    for word in sorted({*net.senses, *labels}, key=lambda word: (word not in labels, word)):
        offset = _sense(net, word, below, labeled)
        classes = below[offset] if offset else []
        positive = labeled[offset or word] | labeled[word]
        if not (classes or positive.any()) or len(classes) > LARGEST:
            continue
        own = np.isin(sources, np.unique(sources[labeled[word]])) & (word in labels)
        exclusive = own & np.isin(sources, word_pictures.EXCLUSIVE)
        positive = np.where(exclusive, own_label.get(word, False), positive)
        unknown = ~own & (word in word_pictures.PATTERNS)
        key = (tuple(classes), positive.tobytes(), word if word in labels else "")
        if key in found:
            found[key].names.append(word)
        elif not (synonym := _label_of_sense(net, offset, labels, word)):
            found[key] = Concept([word], classes, positive, known & own & ~positive, unknown)
        else:
            _add_synonym(found, synonym, word)
    return [_named(net, one, labels) for one in found.values()]


def _label_of_sense(
    net: WordNet, offset: Offset | None, labels: Mapping[str, Offset | None], word: str
) -> str:
    """The label that has the same sense as a word that is none."""
    if offset is None or word in labels:
        return ""
    names = [name.lower() for name in net.names[offset]]
    return next((name for name in names if labels.get(name) == offset), "")


def _add_synonym(found: Mapping[tuple[object, ...], Concept], label: str, word: str) -> None:
    for one in found.values():
        if label in one.names:
            one.names.append(word)
            return


def _sense(
    net: WordNet,
    word: str,
    below: Mapping[Offset, list[int]],
    labeled: Mapping[str, Mask],
) -> Offset | None:
    """The first sense of which there are classes or labels."""
    senses = net.senses.get(word_pictures.SENSES.get(word, word), [])
    return next((one for one in senses if one in below or labeled[one].any()), None)


def _labeled(net: WordNet, pictures: Sequence[Picture]) -> Mapping[str, Mask]:
    """Pictures by each label's word, by its sense and by all synsets above that."""
    masks = defaultdict[str, Mask](lambda: np.zeros(len(pictures), bool))
    above = {word: _above_label(net, word) for one in pictures for word in one.words}
    for number, one in enumerate(pictures):
        for word in one.words:
            for key in (word, *above[word]):
                masks[key][number] = True
    return masks


def _above_label(net: WordNet, word: str) -> set[Offset]:
    senses = net.senses.get(word_pictures.SENSES.get(word, word), [])
    physical = [one for one in senses if net.above(one) & word_pictures.PHYSICAL]
    return net.above(physical[0]) if physical else set()


def _named(net: WordNet, concept: Concept, labels: Mapping[str, Offset | None]) -> Concept:
    """The concept with irregular plurals, and with its usual name first: its label, else the one
    that is most frequent in texts."""
    words = {*word_pictures.MORE_NAMES.get(concept.names[0], ()), *concept.names}
    names = sorted(words, key=lambda name: (name not in labels, -net.counts[name], net.place(name)))
    plurals = [plural for name in names for plural in net.plurals.get(name, [])]
    concept.names = list(dict.fromkeys([*names, *plurals]))
    return concept


# --- fitting --------------------------------------------------------------------------------


def extents(concept: Concept, logits: Rows) -> Rows:
    """(n,): the extent to which each picture shows a concept: a logarithm, at most 0."""
    if concept.classes:
        total = _log_sum(logits[:, np.add(concept.classes, 1)]) - _log_sum(logits)
        extent = np.clip(total, FLOOR, 0)
    else:
        extent = np.full(len(logits), FLOOR, np.float32)
    extent[concept.negative] = FLOOR
    extent[concept.positive] = 0
    if concept.unknown.any():  # the mean, which says nothing
        extent[concept.unknown] = extent[~concept.unknown].mean()
    return np.asarray(extent, np.float32)


def _log_sum(logits: Rows) -> Rows:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)), np.float32)


def solver(vectors: Rows, drawn: Mask) -> Callable[[Rows], Rows]:
    """Returns the ridge regression of extents (n, m) on vectors: directions (m, size).

    Drawings and photos are centered each by themselves, so that a word that only drawings have as a
    label does not mean "drawn".
    """
    centered = _centered(vectors, drawn).astype(np.float64)
    gram = centered.T @ centered + RIDGE * np.eye(vectors.shape[1])
    inverse = np.linalg.inv(gram) @ centered.T

    def solve(targets: Rows) -> Rows:
        return np.asarray((inverse @ _centered(targets, drawn)).T, np.float32)

    return solve


def _centered(rows: Rows, drawn: Mask) -> Rows:
    centered = np.empty_like(rows)
    for part in (drawn, ~drawn):
        if part.any():
            centered[part] = rows[part] - rows[part].mean(axis=0)
    return centered


def held_out_scores(vectors: Rows, targets: Rows, drawn: Mask) -> Rows:
    """(n, m): the score of each picture for each concept, by directions fitted without it."""
    fold = np.random.default_rng(SEED).permutation(len(vectors)) % FOLDS
    scores = np.empty_like(targets)
    for part in range(FOLDS):
        rest = fold != part
        directions = unit(solver(vectors[rest], drawn[rest])(targets[rest]))
        scores[~rest] = vectors[~rest] @ directions.T
    return scores


def unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def measure(concept: Concept, scores: Rows, extent: Rows) -> tuple[float, str]:
    """The share of the ten best pictures that show the concept, or of as many as there are.

    Where there are labels, they decide, among the pictures that have one. Else the teacher does: a
    picture shows a word if it is among the hundredth for which that is most likely.
    """
    if concept.positive.sum() >= LEAST_LABELED:
        rows, shown = np.flatnonzero(concept.positive | concept.negative), concept.positive
        decides = "labels"
    else:
        rows = np.arange(len(scores))
        shown = extent >= np.quantile(extent, 1 - LIKELY)
        decides = "teacher"
    best = rows[np.argsort(-scores[rows])[: min(10, int(shown.sum()))]]
    return float(shown[best].mean()), decides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA.parent)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    given = parser.parse_args()
    pictures, vectors, logits = word_pictures.load(given.data, given.work)
    found = concepts(read_wordnet(given.wordnet), word_pictures.wnids(), pictures)
    targets = np.stack([extents(one, logits) for one in found], axis=1)
    drawn = np.array([one.source == "drawn" for one in pictures])
    scores = held_out_scores(vectors, targets, drawn)
    for number, one in enumerate(found):
        one.precision, one.measured_with = measure(one, scores[:, number], targets[:, number])
    kept = [
        n
        for n, one in enumerate(found)
        if one.precision >= LEAST[one.measured_with] and _spellings(one.names)
    ]
    write(given.out, [found[n] for n in kept], solver(vectors, drawn)(targets[:, kept]))
    print(f"{len(kept)} of {len(found)} concepts")


def write(file: Path, kept: Sequence[Concept], directions: Rows) -> None:
    """Writes the names and precisions as JSON, and the directions in 8 bits."""
    peak = np.abs(directions).max(axis=1, keepdims=True)
    words = [
        {
            "names": _spellings(one.names),
            "precision": round(one.precision, 2),
            "measured_with": one.measured_with,
        }
        for one in kept
    ]
    text = json.dumps(words, ensure_ascii=False).encode()
    np.savez_compressed(
        file,
        words=np.frombuffer(text, np.uint8),
        directions=np.round(directions / peak * 127).astype(np.int8),
    )


def _spellings(names: Sequence[str]) -> list[str]:
    """Names as texts are read, without the longest."""
    tokens = map(tokens_of, names)
    return list(dict.fromkeys(" ".join(one) for one in tokens if 0 < len(one) <= LONGEST))


if __name__ == "__main__":
    main()
