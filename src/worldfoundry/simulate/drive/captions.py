"""Captions of drives: what the ego car does within the clip, who is met, and the light."""

import numpy as np

from worldfoundry.simulate.drive.boxes import separation
from worldfoundry.simulate.drive.situation import Situation
from worldfoundry.simulate.drive.sky import Sky
from worldfoundry.simulate.drive.traffic import Drives
from worldfoundry.simulate.words import colour_name, counted_word, listed, sentence, with_article

_SEEN_M = 60.0
_AHEAD_M = 30.0


def caption_of(situation: Situation, sky: Sky, drives: Drives, motions: np.ndarray, fps: float) -> str:
    """Two or three sentences; ``motions`` are the ego car's rows (x, y, yaw, speed) of the clip."""
    boxes = drives.footprints(np.arange(len(motions)) / fps)
    seen = _seen_ahead(situation, boxes, motions)
    street = counted_word(2 * situation.town.main.lanes, "lane").replace(" ", "-").removesuffix("s")
    words = f"the car drives along {with_article(street)} street {_deed(situation, motions)}"
    leader = _leader(situation, boxes, seen, motions)
    if leader is not None:
        driver = situation.drivers[leader]
        words += f" behind {with_article(f'{colour_name(driver.colour)} {driver.kind.noun}')}"
    sentences = [words] if not (met := _met(situation, seen, motions, fps)) else [words, met]
    return " ".join(sentence(s) for s in (*sentences, f"it is {sky.words}"))


def _deed(situation: Situation, motions: np.ndarray) -> str:
    """The manoeuvre as far as it got."""
    turned = motions[-1, 2] - motions[0, 2]
    aside = abs(motions[-1, 0] - motions[0, 0])
    side = "left" if turned > 0 else "right"
    if situation.variant in ("turn-left", "turn-right"):
        if abs(turned) > 1.3:
            return f"and turns {side} at a crossing"
        return f"and begins to turn {side} at a crossing" if abs(turned) > 0.2 else "towards a crossing"
    if situation.variant == "lane-change":
        side = "left" if motions[-1, 0] < motions[0, 0] else "right"
        if aside > 3.2:
            return f"and changes to the {side} lane"
        return f"and begins to change to the {side} lane" if aside > 0.5 else "and keeps its lane"
    if situation.variant == "stop":
        if motions[-1, 3] < 0.1:
            return "and stops at a red light"
        return (
            "and slows down for a red light"
            if motions[-1, 3] < motions[0, 3] - 0.5
            else "towards a red light"
        )
    places = [road.at_m for road in situation.town.ground.along_x]
    over = any(motions[0, 1] < place - 4 and motions[-1, 1] > place + 4 for place in places)
    return "and goes straight on over a crossing" if over else "and goes straight on"


def _seen_ahead(situation: Situation, boxes: np.ndarray, motions: np.ndarray) -> np.ndarray:
    """Bool [t, n]: who is within the front camera's sight, with nothing big in between."""
    ego = motions[:, None]
    away = boxes[..., :2] - ego[..., :2]
    distance = np.sqrt((away**2).sum(-1))
    bearing = np.arctan2(away[..., 1], away[..., 0]) - ego[..., 2]
    bearing = np.abs((bearing + np.pi) % (2 * np.pi) - np.pi)
    seen = (distance < _SEEN_M) & (bearing < np.radians(33)) & (distance > 3)
    houses = situation.town.footprints()
    for t in np.flatnonzero(seen.any(1)):
        seen[t] &= _are_free(boxes[t], motions[t], houses)
    return seen


def _are_free(boxes: np.ndarray, ego: np.ndarray, houses: np.ndarray) -> np.ndarray:
    """Bool [n]: whether the line from the ego car's front to the middle of each vehicle is free."""
    start = ego[:2] + 2.1 * np.array([np.cos(ego[2]), np.sin(ego[2])])
    away = boxes[:, :2] - start
    length = np.sqrt((away**2).sum(-1))
    thin = np.full(len(boxes), 0.02)
    lines = np.column_stack([start + away / 2, np.arctan2(away[:, 1], away[:, 0]), length / 2, thin])
    gaps = separation(lines[:, None], np.concatenate([boxes, houses]))
    gaps[:, 0] = gaps[np.diag_indices(len(boxes))] = np.inf  # the ego car, and the one that is looked at
    return np.asarray((gaps > 0).all(1))


def _leader(situation: Situation, boxes: np.ndarray, seen: np.ndarray, motions: np.ndarray) -> int | None:
    """Who is right ahead in the same lane at the first and the last frame."""
    route = situation.drivers[0].route
    for k, driver in enumerate(situation.drivers[1:], 1):
        along, off = route.project(boxes[[0, -1], k, :2])
        own, _ = route.project(motions[[0, -1], :2])
        ahead = (along > own) & (along < own + _AHEAD_M) & (off < 1.0)
        if driver.role == "same way" and ahead.all() and seen[[0, -1], k].all():
            return k
    return None


def _met(situation: Situation, seen: np.ndarray, motions: np.ndarray, fps: float) -> str:
    """Who comes the other way or waits or crosses in the side street, seen for a third of a second at least."""
    long_enough = seen.sum(0) >= max(1, min(len(motions), round(fps / 3)))
    parts = []
    for role, one, many in (
        ("other way", "comes the other way", "come the other way"),
        ("side street", *_in_side_street(situation)),
    ):
        found = [
            d.kind.noun for d, s in zip(situation.drivers, long_enough, strict=True) if s and d.role == role
        ]
        if found:
            noun = found[0] if len(set(found)) == 1 else "vehicle"
            plural = "buses" if noun == "bus" else None
            parts.append(f"{counted_word(len(found), noun, plural)} {one if len(found) == 1 else many}")
    return listed(parts) if parts else ""


def _in_side_street(situation: Situation) -> tuple[str, str]:
    if situation.variant == "stop":
        return "crosses ahead", "cross ahead"
    return "is in the side street", "are in the side street"
