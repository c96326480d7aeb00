"""The episodes that a training on instructions learns from and is measured on."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.instructed_episodes import InstructedEpisodes, joined
from rlgen.errors import problem
from rlgen.nn.cross_modal import NO_WORD, without_unused

log = logging.getLogger("rlgen")
EVERY = 10
"""One of so many labelled episodes is held out."""
SPLIT_SEED = 0
"""Seed of the order that is divided, the same for every run."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Episodes of a training. None is learned that equals a held-out one, and none is both labelled and unlabelled."""

    train: InstructedEpisodes
    """Those whose instructions are learned."""
    held_out: InstructedEpisodes
    """Those on which models are measured."""
    unlabelled: InstructedEpisodes | None
    """Those whose instructions a speaker writes; theirs are used for nothing but a comparison."""
    length: int
    """Most words of an instruction of the task."""
    prints: Mapping[str, Mapping[str, Any]]
    """Name, number and sha256 of the demonstrations, by their role."""
    name: str
    """Name for results."""

    @classmethod
    def of(cls, data: Path, labelled: int | None, unlabelled: Path | None) -> "Split":
        """The episodes of the file `data`, of which the first `labelled` have an instruction, by default all, and of
        `unlabelled`. Raises `InputError` for files without such episodes."""
        shown = Demonstrations.load(data)
        every = InstructedEpisodes.of(shown)
        count = len(every) if labelled is None else labelled
        if not EVERY <= count <= len(every):
            got = f"{len(every)} in {shown.source}" + ("" if labelled is None else f" and --labelled {count}")
            remedy = "record more" if labelled is None else "lower --labelled, or record more"
            raise problem(f"at least {EVERY} labelled episodes, and no more than there are", got, remedy)
        prints = {"labelled": {"name": data.stem, "n": count, "sha256": shown.fingerprint}}
        rest = [every.part(torch.arange(count, len(every)))] if count < len(every) else []
        if unlabelled is not None:
            more = Demonstrations.load(unlabelled)
            rest.append(InstructedEpisodes.of(more))
            if rest[-1].vocabulary != every.vocabulary:
                got, remedy = f"others in {more.source}", "record both in one task"
                raise problem(f"unlabelled episodes whose words are those of {shown.source}", got, remedy)
            prints["unlabelled"] = {"name": unlabelled.stem, "n": len(rest[-1]), "sha256": more.fingerprint}
        actions = max(part.n_actions for part in (every, *rest))
        known = replace(every.part(torch.arange(count)), n_actions=actions)
        train, held_out = _divided(known, shown.source)
        new = _others(replace(joined(rest), n_actions=actions), known, "unlabelled", "labelled") if rest else None
        return cls(
            train=train,
            held_out=held_out,
            unlabelled=new if new is not None and len(new) else None,
            length=every.words.shape[1],
            prints=prints,
            name=data.stem,
        )


def _divided(labelled: InstructedEpisodes, source: str) -> tuple[InstructedEpisodes, InstructedEpisodes]:
    """Labelled episodes to learn, and those that are held out. Raises `InputError` for some without an instruction."""
    if (unnamed := int((labelled.words == NO_WORD).all(1).sum())) > 0:
        got = f"none for {unnamed} of {len(labelled)} in {source}"
        remedy = "give only the first ones that have one by --labelled, or the whole file as --unlabelled"
        raise problem("an instruction for each labelled episode", got, remedy)
    order = torch.randperm(len(labelled), generator=torch.Generator().manual_seed(SPLIT_SEED))
    chosen = torch.arange(len(labelled)) % EVERY == EVERY - 1
    held_out = labelled.part(order[chosen].sort().values)
    train = _others(labelled.part(order[~chosen].sort().values), held_out, "labelled", "held-out")
    if not len(train):
        expected = "labelled episodes that differ from those held out"
        raise problem(expected, f"none in {source}", "record a task whose episodes differ")
    return _trimmed(train), _trimmed(held_out)


def _others(episodes: InstructedEpisodes, known: InstructedEpisodes, role: str, known_role: str) -> InstructedEpisodes:
    """The episodes that equal none of `known`; the log says how many do. Two recordings with one seed start with the
    same episodes."""
    found = episodes.without(known)
    if (repeated := len(episodes) - len(found)) > 0:
        log.warning("%d of %d %s episodes equal %s ones: left out", repeated, len(episodes), role, known_role)
    return found


def _trimmed(episodes: InstructedEpisodes) -> InstructedEpisodes:
    """The episodes without the columns in which no instruction has a word."""
    return episodes.with_words(without_unused(episodes.words))
