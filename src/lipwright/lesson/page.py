"""The page of a lesson: it works from the disk, without a network, and by keyboard.

Every exercise is a silent clip, a choice of answers and the answer itself, folded away. Buttons
play it from the start, slowly, with sound, or with captions; without scripts, clips and answers are
left. Made to WCAG 2.2, level AA: native controls in the order of reading, names for all of them,
results announced by live regions, contrast of 4.5 to 1 and more, focus that is seen, no motion
unless asked for, no keys of its own.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lipwright.html_page import head
from lipwright.lesson.words import Item
from lipwright.printable import printable

CHOICES = 4
"""Answers to choose from."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-zA-Z0-9]{2,8})*")


@dataclass(frozen=True)
class Clip:
    """A clip of a lesson.

    Attributes:
        item: what is said.
        name: of its files, relative to the page and without their endings.
        width: of the picture as it is shown, pixels.
        height: of it.
        start: seconds at which the speech begins.
        end: and ends.
    """

    item: Item
    name: str
    width: int
    height: int
    start: float
    end: float


STYLE = """
body { max-width: 46rem; }
a { color: #0b4f9e; }
article { border: 1px solid #767676; border-radius: .5rem; padding: 1rem; margin: 1.2rem 0; }
article h3 { margin: 0 0 .6rem; }
video { width: 100%; height: auto; max-height: 70vh; background: #000; display: block; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; margin: .7rem 0; }
button { font: inherit; min-height: 2.75rem; padding: .3rem 1rem; border: 2px solid #0b4f9e;
         border-radius: .4rem; background: #fff; color: #0b4f9e; cursor: pointer; }
button[aria-pressed='true'] { background: #0b4f9e; color: #fff; }
:focus-visible { outline: 3px solid #b3261e; outline-offset: 2px; }
fieldset { border: 0; margin: .5rem 0; padding: 0; }
legend { font-weight: 600; padding: 0; }
label { display: block; padding: .35rem 0; }
input[type='radio'] { width: 1.2rem; height: 1.2rem; margin: 0 .6rem 0 .1rem;
                      vertical-align: -.2rem; }
.feedback { font-weight: 600; min-height: 1.5rem; margin: .5rem 0; }
.right { color: #14632b; } .wrong { color: #a3160f; }
details { margin-top: .4rem; } summary { padding: .4rem 0; cursor: pointer; }
.scripted { display: none; } .with-script .scripted { display: block; }
.with-script .buttons.scripted { display: flex; } .with-script .plain { display: none; }
.note { color: #444; font-size: .95rem; }
"""

SCRIPT = """
'use strict';
document.documentElement.classList.add('with-script');
const exercises = [...document.querySelectorAll('article')];
const asked = new Map();
function tellScore() {
  const right = [...asked.values()].filter(Boolean).length;
  document.getElementById('score').textContent =
    `${asked.size} of ${exercises.length} answered, ${right} of them right at the first try.`;
}
for (const exercise of exercises) {
  const video = exercise.querySelector('video');
  const name = exercise.dataset.name, text = exercise.dataset.text;
  const pace = Number(exercise.dataset.pace);
  const button = (kind) => exercise.querySelector(`button[data-do='${kind}']`);
  const pressed = (kind) => button(kind).getAttribute('aria-pressed') === 'true';
  const turn = (kind) => button(kind).setAttribute('aria-pressed', String(!pressed(kind)));
  const captions = video.addTextTrack('captions', 'Captions', document.documentElement.lang);
  captions.mode = 'hidden';
  function caption() {
    const slower = pressed('slow') ? pace : 1;
    for (const cue of [...captions.cues || []]) captions.removeCue(cue);
    const {start, end} = exercise.dataset;
    captions.addCue(new VTTCue(Number(start) / slower, Number(end) / slower, text));
    captions.mode = pressed('captions') ? 'showing' : 'hidden';
  }
  caption();
  button('play').addEventListener('click', () => { video.currentTime = 0; video.play(); });
  button('slow').addEventListener('click', () => {
    turn('slow');
    video.src = name + (pressed('slow') ? '-slow.mp4' : '.mp4');
    caption();
    video.play();
  });
  button('sound').addEventListener('click', () => { video.muted = pressed('sound'); });
  video.addEventListener('volumechange', () => {
    button('sound').setAttribute('aria-pressed', String(!video.muted));
  });
  button('captions').addEventListener('click', () => { turn('captions'); caption(); });
  const form = exercise.querySelector('form');
  if (form) form.addEventListener('submit', (event) => {
    event.preventDefault();
    const feedback = exercise.querySelector('.feedback');
    const chosen = form.querySelector('input:checked');
    if (!chosen) {
      feedback.className = 'feedback wrong';
      feedback.textContent = 'Choose one of the answers first.';
      return;
    }
    const right = chosen.value === text;
    if (!asked.has(exercise)) asked.set(exercise, right);
    feedback.className = right ? 'feedback right' : 'feedback wrong';
    feedback.textContent = right ? 'Right.' : 'Not this one. Look again, slowly if you like.';
    tellScore();
  });
}
tellScore();
"""


def page(clips: Sequence[Clip], title: str, language: str | None, speed: float) -> str:
    """The whole page.

    Args:
        clips: in the order of the lesson.
        title: of the page.
        language: of what is said, if its name is a language's; the page itself is in English.
        speed: of the slow versions.
    """
    spoken = language if language and _LANGUAGE.fullmatch(language) else None
    lines = head(title, STYLE)
    lines += [
        "<main>",
        f"<h1>{_text(title)}</h1>",
        "<p>Play a clip, watch the lips, and choose what was said. The clips play without sound "
        "until you turn it on. Everything can be reached with the Tab key, and pressed with Space "
        "or Enter.</p>",
        "<p id='score' class='scripted'></p>",
    ]
    heading = ""
    if not any(clip.item.heading for clip in clips):
        lines.append("<h2>Exercises</h2>")
    for clip in clips:
        if clip.item.heading != heading:
            heading = clip.item.heading
            lines.append(f"<h2>{_text(heading or 'More')}</h2>")
        lines += _exercise(clip, clips, spoken, speed)
    lines += [
        "</main>",
        "<footer><p class='note'>The mouths in these clips were drawn by a computer (Lipwright) "
        "to a synthetic voice, and are marked as such. They move as a network has learnt, which is "
        "not always as people do: practise with people, too.</p></footer>",
        f"<script>{SCRIPT}</script></body></html>",
    ]
    return "\n".join(lines) + "\n"


def choices(item: Item, items: Sequence[Item]) -> list[str]:
    """Up to ``CHOICES`` answers, the right one among them, in an order that tells nothing.

    Words are beside words, sentences beside sentences, as far as there are any, and those of about
    the same length are the better guesses. The same lesson gives the same choices every time.
    """
    others = {other.text: other for other in items if other.text != item.text}
    of_kind = {text: other for text, other in others.items() if other.kind == item.kind}
    others = of_kind or others

    def distance(other: Item) -> tuple[int, str]:
        return abs(len(other.text) - len(item.text)), _digest(item, str(other.number))

    nearest = sorted(others.values(), key=distance)[: CHOICES - 1]
    return sorted([item.text, *(o.text for o in nearest)], key=lambda t: _digest(item, t))


def _digest(item: Item, text: str) -> str:
    return hashlib.sha256(f"{item.number} {text}".encode()).hexdigest()


def _exercise(clip: Clip, clips: Sequence[Clip], language: str | None, speed: float) -> list[str]:
    item = clip.item
    number = f"exercise-{item.number}"
    answers = choices(item, [other.item for other in clips])
    of_language = f" lang='{language}'" if language else ""
    facts = {
        "name": clip.name,
        "text": printable(item.text),
        "start": str(clip.start),
        "end": str(clip.end),
        "pace": str(speed),
    }
    data = " ".join(f'data-{key}="{html.escape(value)}"' for key, value in facts.items())
    lines = [
        f"<article id='{number}' aria-labelledby='{number}-title' {data}>",
        f"<h3 id='{number}-title'>Exercise {item.number}: a {item.kind}</h3>",
        f"<video src='{clip.name}.mp4' poster='{clip.name}.jpg' width='{clip.width}' "
        f"height='{clip.height}' preload='none' muted playsinline controls "
        f"aria-label='Exercise {item.number}: a face says a {item.kind}, without sound'></video>",
        "<div class='buttons scripted'>",
        "<button type='button' data-do='play'>Play from the start</button>",
        *(
            f"<button type='button' data-do='{key}' aria-pressed='false'>{label}</button>"
            for key, label in (("slow", "Slow"), ("sound", "Sound"), ("captions", "Captions"))
        ),
        "</div>",
        f"<p class='plain'><a href='{clip.name}-slow.mp4'>Exercise {item.number}, slow</a></p>",
    ]
    if len(answers) > 1:
        lines += ["<form class='scripted'><fieldset><legend>What was said?</legend>"]
        for answer in answers:
            lines.append(
                f"<label{of_language}><input type='radio' name='{number}' "
                f'value="{_text(answer)}">{_text(answer)}</label>'
            )
        lines += [
            "</fieldset>",
            f"<button type='submit' aria-describedby='{number}-title'>Check</button></form>",
            "<p class='feedback scripted' role='status'></p>",
        ]
    lines += [
        f"<details><summary>Show the answer of exercise {item.number}</summary>"
        f"<p{of_language}>{_text(item.text)}</p></details>",
        "</article>",
    ]
    return lines


def _text(text: str) -> str:
    return html.escape(printable(text))
