"""What was done to every frame, and why: JSON for machines, two lines for people."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lipwright.errors import system_errors
from lipwright.versions import versions

Status = Literal["synced", "silent", "held", "passed_through"]
"""synced: the mouth follows the speech. silent: nobody speaks, the mouth rests. held: the face was
lost for a moment and its place taken from the frames around. passed_through: untouched."""

STATUSES: tuple[Status, ...] = ("synced", "silent", "held", "passed_through")

HINT_SHARE = 0.1
"""From this share on people are told of mouths that the reference frames do not show."""
PACKAGES = ("torch", "av", "numpy", "opencv-python-headless", "openvino")
"""What makes an output."""
MOST_WARNINGS = 3
"""So many are shown to people; the JSON has all."""

NO_FACE = "no face found"
TOO_SMALL = "face too small"
TURNED_AWAY = "face turned away"
OUTSIDE = "face leaves the picture"
COVERED = "mouth covered"
OTHER_PERSON = "another person's face"
NOT_SPEAKING = "this person does not speak"
NO_SPEECH = "no speech"
LOST = "face lost for a moment"


@dataclass(frozen=True)
class Run:
    """A stretch of output frames that had the same status.

    Attributes:
        first, last: numbers of the first and the last frame, from 0.
        status: see ``Status``.
        reason: why; empty for ``synced``.
    """

    first: int
    last: int
    status: Status
    reason: str

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.last - self.first + 1


def run_lengths(statuses: Iterable[tuple[Status, str]]) -> list[Run]:
    """Join equal neighbours, beginning with frame 0."""
    runs: list[Run] = []
    for k, (status, reason) in enumerate(statuses):
        if runs and (runs[-1].status, runs[-1].reason) == (status, reason):
            runs[-1] = Run(runs[-1].first, k, status, reason)
        else:
            runs.append(Run(k, k, status, reason))
    return runs


@dataclass(frozen=True)
class TrackSummary:
    """One person in one shot.

    Attributes:
        track: number, as ``--face`` takes it.
        first, last: source frames.
        seconds: from the first to the last.
        frames: in how many source frames the face was seen.
        size: median side of the face's box in display pixels.
        speaks: whether the speech was given to this face.
        references: source frames that showed the method how this face looks.
    """

    track: int
    first: int
    last: int
    seconds: float
    frames: int
    size: int
    speaks: bool
    references: tuple[int, ...]


@dataclass
class Report:
    """The record of one job.

    Attributes:
        video, speech, out: the files as given.
        runs: the status of every output frame, and the reason.
        tracks: the people.
        seconds: length of the output.
        rate: mean frames per second of the output.
        model: ``name`` and ``id`` of the method.
        settings: the options that shape the frames.
        timings: seconds spent, by stage.
        provenance: what was marked and signed, see ``provenance.session``.
        notices: what the user was told before the work began.
        resumed_from: first frame that this run rendered itself.
        previewed: frames that were drawn for a preview; then no output was written.
        files: what was written, by role: ``output``, ``manifest`` (where it stands beside the
            output), ``comparison``, ``preview``, ``report``.
        beyond_references: share of the drawn faces, while somebody spoke, whose mouth the reference
            frames of this person do not offer and which was bent so far; None if the method does
            not tell. Of a resumed job, its last run.
        replaced: whether there was an output of that name before.
        adaptation: one entry per person: whether the articulation was learnt, from how much speech,
            or why not; see ``dubbing.adapt``. Empty with ``--adapt off``.
        stretches: of a cast, what became of each of its stretches, see ``cast.outcomes``.
        sound: of a cast, what its sound was made of.
        warnings: sentences about what was not as it should be.
    """

    video: str
    speech: str
    out: str
    runs: list[Run] = field(default_factory=list)
    tracks: list[TrackSummary] = field(default_factory=list)
    seconds: float = 0.0
    rate: float = 0.0
    model: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    resumed_from: int = 0
    previewed: int = 0
    files: dict[str, str] = field(default_factory=dict)
    replaced: bool = False
    beyond_references: float | None = None
    stretches: list[dict[str, Any]] = field(default_factory=list)
    sound: dict[str, Any] = field(default_factory=dict)
    adaptation: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Number of output frames."""
        return self.runs[-1].last + 1 if self.runs else 0

    def counts(self) -> dict[Status, int]:
        """Frames per status; every status is listed."""
        counter: Counter[Status] = Counter()
        for run in self.runs:
            counter[run.status] += run.count
        return {status: counter[status] for status in STATUSES}

    def reasons(self) -> dict[str, int]:
        """Frames that were passed through, per reason."""
        counter: Counter[str] = Counter()
        for run in self.runs:
            if run.status == "passed_through":
                counter[run.reason] += run.count
        return dict(counter.most_common())

    def status_of(self, frame: int) -> Run:
        """The run that holds an output frame."""
        return next(run for run in self.runs if run.first <= frame <= run.last)

    @property
    def watermark(self) -> str | None:
        """The id in the frames, eight hexadecimal digits; None without a watermark."""
        mark = self.provenance.get("watermark")
        return str(mark["id"]) if mark else None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        data = asdict(self)
        data["runs"] = [[run.first, run.last, run.status, run.reason] for run in self.runs]
        return {
            "lipwright_report": 1,
            "versions": versions(*PACKAGES),
            "frames": self.frames,
            "counts": self.counts(),
            "passed_through_reasons": self.reasons(),
            **data,
        }

    def write(self, path: Path) -> None:
        """Save as JSON.

        Raises:
            LipwrightError: if the file cannot be written.
        """
        with system_errors(f"The report {path} cannot be written", "choose another place for it"):
            path.write_text(_laid_out(self.as_json()) + "\n", encoding="utf-8")

    def summary_lines(self, known: Collection[str] = ()) -> list[str]:
        """For people: what became of the frames, and what is to be known beside that.

        Args:
            known: warnings that they have read already.
        """
        spent = self.timings.get("total", 0.0)
        if self.previewed:
            lines = [
                f"Drew {self.previewed} of {self.frames} frames in {spent:.1f} s; "
                f"{self.out} was not written."
            ]
        else:
            rendered = self.frames - self.resumed_from
            speed = f", {rendered / spent:.1f} frames/s" if spent > 0 else ""
            lines = [self._became(), f"{self._who()}; took {spent:.1f} s{speed}."]
            lines += self._people_lines()
        beyond = self.beyond_references or 0.0
        if beyond >= HINT_SHARE:
            lines.append(
                f"In {100 * beyond:.0f} % of the speaking frames the speech "
                "asks for mouths that this person does not show in the video; a longer source, or "
                "one with livelier speech, would look better."
            )
        warnings = [sentence for sentence in self.warnings if sentence not in known]
        lines += [f"Warning: {sentence}" for sentence in warnings[:MOST_WARNINGS]]
        if warnings[MOST_WARNINGS:]:
            lines.append(f"{len(warnings) - MOST_WARNINGS} more warnings are in the report.")
        return lines

    def _became(self) -> str:
        counts = self.counts()
        parts = [f"{counts['synced']} synced"]
        parts += [f"{counts['silent']} at rest (no speech)"] if counts["silent"] else []
        parts += [f"{counts['held']} bridged (face lost for a moment)"] if counts["held"] else []
        if counts["passed_through"]:
            why = ", ".join(f"{count} {reason}" for reason, count in self.reasons().items())
            parts.append(f"{counts['passed_through']} untouched ({why})")
        return f"{self.frames} frames, {self.seconds:.1f} s: " + ", ".join(parts) + "."

    def _people_lines(self) -> list[str]:
        """Of a cast, whose stretches were seen."""
        if not self.stretches:
            return []
        seen = [row for row in self.stretches if row["passed_through"] < row["frames"]]
        lines = [f"{len(seen)} of {len(self.stretches)} stretches of the cast move a mouth."]
        for row in self.stretches:
            if row not in seen and row["face"] is not None:
                why = ", ".join(row["reasons"])
                lines.append(f"{row['person']} at {row['start']:g} s is only heard ({why}).")
        return lines

    def _who(self) -> str:
        """Whose mouth moved."""
        speaking = [str(track.track) for track in self.tracks if track.speaks]
        shown = ", ".join(speaking[:6]) + (f" and {len(speaking) - 6} more" if speaking[6:] else "")
        count = len(self.tracks)
        if not speaking:
            return "No face was given the speech"
        if count == 1:
            return f"1 face (number {shown})"
        return f"Face number {shown} of the {count} in the video"


def _laid_out(data: dict[str, Any]) -> str:
    """JSON with one line for every run and every number list, as people read it."""
    text = json.dumps(data, indent=1)
    return re.sub(r"\[\n[^\[\]{}]*\n\s*\]", _on_one_line, text)


def _on_one_line(found: re.Match[str]) -> str:
    values = json.loads(found[0])
    if any(isinstance(value, str) and len(value) > 40 for value in values):
        return found[0]  # sentences keep lines of their own
    return json.dumps(values)
