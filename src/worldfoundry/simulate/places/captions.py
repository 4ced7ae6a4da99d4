"""What a place and a flight are called in English."""

from collections import defaultdict

import numpy as np

from worldfoundry.simulate.places.flights import Flight
from worldfoundry.simulate.places.pieces import Piece, Placed
from worldfoundry.simulate.places.place import Place
from worldfoundry.simulate.words import colour_name, counted_word, listed, sentence, with_article

_PLURALS = {
    "box": "boxes",
    "bench": "benches",
    "bush": "bushes",
    "bookshelf": "bookshelves",
    "bowl of fruit": "bowls of fruit",
    "pile of books": "piles of books",
}
_SEEN = 0.01
_MOST_NAMED = 5


def caption_of(place: Place, flight: Flight, shares: np.ndarray, *, returns: bool) -> str:
    """The place with what is seen most of it, and what the camera does.

    ``shares`` [things] are the largest parts of a picture that each thing covers; ``returns`` says that the clip goes
    beyond the leg.
    """
    named = named_things(place, shares)
    words = flight.words.format(subject=_referred(flight.subject, place) if flight.subject else "")
    there = sentence(
        f"{with_article(place.kind)} with {listed(named)}" if named else with_article(place.kind)
    )
    return f"{there} {sentence(f'the camera {words}' + (' and back again' if returns else ''))}"


def named_things(place: Place, shares: np.ndarray) -> list[str]:
    """``a red sofa``, ``two chairs``: nouns in the order of how much of the picture they cover."""
    groups: dict[str, list[Placed]] = defaultdict(list)
    for k in np.argsort(-shares, kind="stable"):
        if shares[k] >= _SEEN:
            groups[place.things[k].piece.noun].append(place.things[k])
    return [_phrase(noun, things) for noun, things in list(groups.items())[:_MOST_NAMED]]


def _phrase(noun: str, things: list[Placed]) -> str:
    looks = {_adjective(t.piece) for t in things}
    adjective = looks.pop() if len(looks) == 1 else ""
    if len(things) == 1:
        return with_article(adjective + noun)
    return counted_word(len(things), adjective + noun, adjective + _PLURALS.get(noun, noun + "s"))


def _adjective(piece: Piece) -> str:
    """Colour or material and a space; empty where neither says much."""
    if piece.colour is None:
        return ""
    if any(p.surface.pattern == "wood" and p.surface.colour == piece.colour for p in piece.parts):
        return "wooden "
    return colour_name(piece.colour) + " "


def _referred(thing: Placed, place: Place) -> str:
    alike = sum(t.piece.noun == thing.piece.noun for t in place.things)
    return f"the {thing.piece.noun}" if alike == 1 else with_article(thing.piece.noun)
