"""``--adapt``: from what is learnt, for which tracks, and kept beside the plan.

``auto`` learns from the video that is dubbed and says nothing where it cannot; a video that the
user names is worth a warning then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import adapt
from lipwright.dubbing.adapt import PersonSpeech
from lipwright.dubbing.cache import kept_beside_plans
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.plan_version import plan_version
from lipwright.dubbing.schedule import select
from lipwright.methods.adaptation import Adaptation
from lipwright.methods.base import Method

STILL = "a still picture has no speech of its own"
_ARRAYS = ("mean", "weights", "bias", "centre", "gain")


def people_speech(
    video: Path,
    plan: Plan,
    speaking: Iterable[int],
    method: Method,
    options: DubOptions,
    plan_of: Callable[[Path], Plan],
    still: bool,
) -> tuple[list[PersonSpeech], list[str]]:
    """How the people who speak articulate, as far as it can be told.

    Args:
        video: the video that is dubbed.
        plan: of it.
        speaking: numbers of the tracks that speak.
        method: whose predictions are corrected.
        options: of the job.
        plan_of: makes the plan of another video.
        still: ``video`` is a still picture.

    Returns:
        One entry per person, and sentences for the user.
    """
    numbers, other = tuple(sorted(speaking)), options.adapt_from
    if options.adapt == "off":
        return [], []
    if other is None:
        if still:
            return [PersonSpeech(numbers, None, {}, {"used": False, "reason": STILL})], []
        people = adapt.people_to_learn(plan, numbers, options.face)
        return learnt(video, plan, people, method, options.plan_cache), []
    with nullcontext() if method.motions is None else plan_of(other) as theirs:
        if theirs is None:
            facts = {"used": False, "reason": adapt.NO_MOTION, "from": str(other)}
            found = PersonSpeech(numbers, None, {}, facts)
        else:
            # Whoever is largest in each shot: the user says that it is one person.
            group = tuple(sorted(select(theirs, "largest", other)))
            (teacher,) = learnt(other, theirs, [group], method, options.plan_cache)
            found = adapt.of_another_video(teacher, numbers, str(other))
    if found.adaptation is not None:
        return [found], []
    sentence = f"Nothing was learnt from {other}: {found.facts['reason']}."
    return [found], [sentence]


def learnt(
    video: Path, plan: Plan, people: list[tuple[int, ...]], method: Method, keep: bool
) -> list[PersonSpeech]:
    """:func:`adapt.learn`, or what it gave for the same plan, people and model before."""
    identity = {
        "adaptation": plan_version(adapt.__name__),
        "source": asdict(plan.source),
        "settings": plan.settings,
        "people": people,
        "model": [method.name, method.model_id, method.info.backend],
    }
    values = kept_beside_plans(
        json.dumps(identity, sort_keys=True),
        keep,
        lambda: [_to_json(person) for person in adapt.learn(video, plan, people, method)],
    )
    return [_from_json(value) for value in values]


def _to_json(person: PersonSpeech) -> dict[str, Any]:
    found = person.adaptation
    return {
        "tracks": list(person.tracks),
        "adaptation": None
        if found is None
        else {name: getattr(found, name).tolist() for name in _ARRAYS},
        "levels": {str(track): level.tolist() for track, level in person.levels.items()},
        "facts": dict(person.facts),
    }


def _from_json(data: dict[str, Any]) -> PersonSpeech:
    found = data["adaptation"]
    return PersonSpeech(
        tuple(data["tracks"]),
        None if found is None else Adaptation(**{name: _array(found[name]) for name in _ARRAYS}),
        {int(track): _array(level) for track, level in data["levels"].items()},
        data["facts"],
    )


def _array(values: list[Any]) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)
