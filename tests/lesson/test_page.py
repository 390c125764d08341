"""The page: one exercise a clip, answers that do not give themselves away, well-formed HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from lipwright.lesson.page import CHOICES, STYLE, Clip, choices, page
from lipwright.lesson.words import Item, read_items

WORDS = (
    'ball\nthumb\nfeather\nboat\nwater\n# Sentences\nGood "morning" & <b>hello</b>!\nAll is well.\n'
)
VOID = {"meta", "input", "br"}


def clips() -> list[Clip]:
    return [Clip(i, f"clips/{i.number}", 640, 360, 0.5, 1.25) for i in read_items(WORDS, "w")]


class Reader(HTMLParser):
    """Notes elements and refuses what is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_every_clip_is_an_exercise() -> None:
    found = read(page(clips(), "My <lesson>", "en-gb", 0.5))
    videos = [attributes for tag, attributes in found.seen if tag == "video"]
    assert [video["src"] for video in videos] == [f"clips/{n}.mp4" for n in range(1, 8)]
    assert all("muted" in video and "controls" in video for video in videos)
    articles = [attributes for tag, attributes in found.seen if tag == "article"]
    assert articles[5]["data-text"] == 'Good "morning" & <b>hello</b>!'
    assert ("h1", found.text[found.text.index("My <lesson>")]) == ("h1", "My <lesson>")
    assert sum(tag == "b" for tag, _ in found.seen) == 0
    labels = [attributes for tag, attributes in found.seen if tag == "label"]
    assert {label.get("lang") for label in labels} == {"en-gb"}


def test_names_of_controls_are_unlike_each_other() -> None:
    found = read(page(clips(), "t", None, 0.5))
    ids = [attributes["id"] for _, attributes in found.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [
        attributes.get("aria-labelledby") for tag, attributes in found.seen if tag == "article"
    ]
    assert set(named) <= set(ids)


def test_no_name_outside_the_folder_is_asked_for() -> None:
    text = page(clips(), "t", None, 0.5)
    assert not re.search(r"https?:|//cdn|@import|url\(", text)


def test_a_strange_voice_is_no_language() -> None:
    assert "lang=\"x'" not in page(clips(), "t", "x' onload='alert(1)", 0.5)
    assert "onload" not in page(clips(), "t", "x' onload='alert(1)", 0.5)


def test_choices_hold_the_answer_and_others_of_its_kind() -> None:
    items = [clip.item for clip in clips()]
    places = []
    for item in items[:5]:
        found = choices(item, items)
        assert len(set(found)) == CHOICES
        assert item.text in found
        assert all(" " not in text for text in found)
        assert found == choices(item, items)
        places.append(found.index(item.text))
    assert len(set(places)) > 1
    assert choices(items[6], items)[0] in (items[5].text, items[6].text)
    assert choices(Item(1, "alone"), [Item(1, "alone"), Item(2, "alone")]) == ["alone"]


def test_text_and_controls_have_enough_contrast() -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11, for every colour that the style sets on white."""

    def luminance(colour: str) -> float:
        if len(colour) == 3:
            colour = "".join(2 * c for c in colour)
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    colours = set(re.findall(r"(?<!-)\bcolor: #([0-9a-f]{3,6})\b", STYLE)) - {"fff"}
    assert len(colours) >= 4
    for colour in colours:
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour
    for colour in re.findall(r"(?:border|outline): \dpx solid #([0-9a-f]{6})", STYLE):
        assert 1.05 / (luminance(colour) + 0.05) >= 3, colour


def test_the_page_is_written_for_readers_of_one_language(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(page(clips(), "t", "de", 0.25), encoding="utf-8")
    assert "<html lang='en'>" in path.read_text("utf-8")
    assert 'data-pace="0.25"' in path.read_text("utf-8")
