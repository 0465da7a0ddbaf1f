"""Writes the known words that are nearest in meaning to words that the built-in model lacks.

    python word_neighbors.py --out FILE [--wordnet DIR]

For a noun of WordNet that is not known, they are those above its sense (puppy: dog) and those
directly below, the nearest first. Needs Debian's `wordnet-base` and the package lookalike; takes
seconds.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from words import Offset, WordNet, read_wordnet

import lookalike.descriptors

WORDS = Path(lookalike.descriptors.__file__).with_name("lookalike-small-1-words.npz")
NAMED = 2
"""Known words for each that is not."""
LONGEST = 12
"""Letters; longer words are hardly ever typed."""
SENSES = 2
"""Senses that are tried: rarer ones are not meant."""
FARTHEST, FARTHEST_OF_RARE = 4, 2
"""Steps up to a word that still says something of the other; rare words, such as names of species,
would only fill the file."""
WIDEST = 800
"""Synsets below a word such as "structure", from which on it says nothing of the other."""
WIDE = {"animal", "food", "person", "plant"}
"""Words that say something all the same."""


def known_synsets(net: WordNet, names_of_words: Sequence[Sequence[str]]) -> dict[Offset, str]:
    """The usual name of each known word by its synset: the one that has most of its names, and of
    several the one below most synsets of other known words (Chihuahua the dog, not the city)."""
    all_senses = [
        dict.fromkeys(sense for name in names for sense in net.senses.get(name, []))
        for names in names_of_words
    ]
    possible = {sense for senses in all_senses for sense in senses}
    known: dict[Offset, str] = {}
    for names, senses in zip(names_of_words, all_senses, strict=True):
        rank = {
            one: (
                len({*map(str.lower, net.names[one])} & {*names}),
                len(net.above(one) & possible),
            )
            for one in senses
        }
        if rank:
            usual = max(names, key=lambda name: net.counts[name])
            known.setdefault(max(rank, key=lambda one: rank[one]), usual)
    return known


def neighbors(
    net: WordNet, word: str, known: Mapping[Offset, str], below: Mapping[Offset, Sequence[Offset]]
) -> list[str]:
    """The known words nearest to one that is not, by its most frequent sense that has any."""
    farthest = FARTHEST if net.counts[word] else FARTHEST_OF_RARE
    for sense in net.senses[word][:SENSES]:
        near = [
            *((steps, one) for one, steps in ancestors(net, sense).items() if steps <= farthest),
            *((1, one) for one in below.get(sense, ())),
        ]
        named = [known[one] for _, one in sorted(near) if one in known]
        if named:
            return list(dict.fromkeys(named))[:NAMED]
    return []


def ancestors(net: WordNet, synset: Offset) -> dict[Offset, int]:
    """The synsets above one, with the steps up to them."""
    steps, waiting = {synset: 0}, [synset]
    for one in waiting:
        for parent in net.parents[one]:
            if parent not in steps:
                steps[parent] = steps[one] + 1
                waiting.append(parent)
    return {one: up for one, up in steps.items() if up}


def lines(net: WordNet, names_of_words: Sequence[Sequence[str]]) -> Iterator[str]:
    width = Counter(above for one in net.parents for above in net.above(one))
    known = {
        synset: name
        for synset, name in known_synsets(net, names_of_words).items()
        if width[synset] <= WIDEST or name in WIDE
    }
    names = {name for names in names_of_words for name in names}
    below: dict[Offset, list[Offset]] = {}
    for child, parents in net.parents.items():
        for parent in parents:
            below.setdefault(parent, []).append(child)
    for word in sorted(net.senses):
        if word in names or not word.isalpha() or len(word) > LONGEST:
            continue
        if near := neighbors(net, word, known, below):
            yield "\t".join([word, *near])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    arguments = parser.parse_args()
    with np.load(WORDS, allow_pickle=False) as file:
        words = json.loads(file["words"].tobytes())
    rows = lines(read_wordnet(arguments.wordnet), [word["names"] for word in words])
    arguments.out.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
