from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.dubbing import report
from lipwright.dubbing.report import Report, Run, TrackSummary, run_lengths
from lipwright.errors import LipwrightError

STATUS_COUNTS = [
    ("passed_through", report.NO_FACE),
    ("passed_through", report.NO_FACE),
    ("passed_through", report.OTHER_PERSON),
    ("synced", ""),
    ("silent", report.NO_SPEECH),
    ("synced", ""),
    ("held", report.LOST),
]


def sample() -> Report:
    track = TrackSummary(3, 0, 6, 0.28, 7, 120, True, (1, 4))
    return Report(
        "a.mp4",
        "b.wav",
        "c.mp4",
        run_lengths(STATUS_COUNTS),
        [track],
        0.28,
        25.0,
        timings={"total": 2.0},
    )


def test_runs_and_counts() -> None:
    made = sample()
    assert made.runs[0] == Run(0, 1, "passed_through", report.NO_FACE)
    assert made.frames == 7
    assert made.counts() == {"synced": 2, "silent": 1, "held": 1, "passed_through": 3}
    assert made.reasons() == {report.NO_FACE: 2, report.OTHER_PERSON: 1}
    assert made.status_of(4).status == "silent"


@given(st.lists(st.sampled_from(STATUS_COUNTS)))
def test_run_lengths_lose_nothing(statuses: list[tuple[report.Status, str]]) -> None:
    runs = run_lengths(statuses)
    assert [(r.status, r.reason) for r in runs for _ in range(r.count)] == statuses
    for a, b in itertools.pairwise(runs):
        assert a.last + 1 == b.first
        assert (a.status, a.reason) != (b.status, b.reason)


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    sample().write(path)
    data = json.loads(path.read_text())
    assert data["frames"] == 7
    assert data["runs"][1] == [2, 2, "passed_through", report.OTHER_PERSON]
    assert data["tracks"][0]["references"] == [1, 4]
    assert data["versions"]["lipwright"]
    with pytest.raises(LipwrightError, match="report"):
        sample().write(tmp_path / "no" / "report.json")


def test_lines_for_people() -> None:
    made = sample()
    made.warnings.append("The video breaks off; it was used up to there.")
    first, second, third = made.summary_lines()
    assert first == (
        "7 frames, 0.3 s: 2 synced, 1 at rest (no speech), 1 bridged (face lost for a moment), "
        "3 untouched (2 no face found, 1 another person's face)."
    )
    assert second == "1 face (number 3); took 2.0 s, 3.5 frames/s."
    assert third == "Warning: The video breaks off; it was used up to there."
    assert "No face" in Report("a", "b", "c").summary_lines()[1]
    made.tracks.append(TrackSummary(4, 0, 6, 0.28, 7, 120, False, (1, 4)))
    assert made.summary_lines()[1].startswith("Face number 3 of the 2 in the video;")
    made.warnings += ["Two.", "Three.", "Four.", "Five."]
    assert made.summary_lines()[-1] == "2 more warnings are in the report."
    assert not [line for line in made.summary_lines(made.warnings) if "arning" in line]


def test_json_has_a_line_for_every_run(tmp_path: Path) -> None:
    made = sample()
    made.warnings.append("A [ bracketed ] sentence, with {braces} and a \n line break in it.")
    made.write(tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text()
    assert '\n  [0, 1, "passed_through", "no face found"],\n' in text
    assert '"references": [1, 4]' in text
    assert json.loads(text)["warnings"] == made.warnings


def test_a_hint_where_the_speech_asks_for_more_than_the_video_shows() -> None:
    made = sample()
    made.beyond_references = 0.04
    assert len(made.summary_lines()) == 2
    made.beyond_references = 0.256
    assert made.summary_lines()[2].startswith("In 26 % of the speaking frames the speech asks for")
