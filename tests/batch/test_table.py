"""Tables of jobs: CSV and YAML, templates, several speeches, and all that is wrong at once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from lipwright.batch.table import read_table
from lipwright.dubbing.option_text import options_from
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError


def table(folder: Path, text: str, name: str = "jobs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_with_options(tmp_path: Path) -> None:
    text = (
        "video, speech, out, crf, silence-gate, start, fps, weights\n"
        "a.mp4, s/one.wav, out/1.mp4, 20, no, 1:02.5,,\n"
        'b.mp4,"two, or three.wav",out/2.mkv,,,,30000/1001,w.safetensors\n'
    )
    first, second = read_table(table(tmp_path, text))
    assert (first.number, first.video, first.speech.path, first.out) == (
        1,
        tmp_path / "a.mp4",
        tmp_path / "s" / "one.wav",
        tmp_path / "out" / "1.mp4",
    )
    assert first.options == {"crf": 20, "silence_gate": False, "start": Fraction(125, 2)}
    assert second.speech.path == tmp_path / "two, or three.wav"
    assert second.options == {"fps": Fraction(30000, 1001), "weights": Path("w.safetensors")}


def test_a_text_in_the_place_of_a_speech(tmp_path: Path) -> None:
    text = (
        "video,speech,text,voice,synthesiser\n"
        'v.mp4,,"Good morning, all! {out}",de,say {text} {out}\n'
        "v.mp4,one.wav,,,\n"
        "v.mp4,,?,,\n"
    )
    jobs = read_table(table(tmp_path, text), "{video}-{speech}.mp4")
    assert [job.out.name for job in jobs] == [
        "v-good-morning-all-out.mp4",
        "v-one.mp4",
        "v-text.mp4",
    ]
    assert jobs[0].speech.path is None
    assert (jobs[0].speech.text, jobs[0].speech.voice) == ("Good morning, all! {out}", "de")
    assert jobs[0].speech.synthesiser == "say {text} {out}"
    assert jobs[0].title == "v.mp4 with 'Good morning, all! {out}'"
    assert (jobs[1].speech.path, jobs[1].speech.text) == (tmp_path / "one.wav", None)
    assert jobs[0].options == {}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("v.mp4,a.wav,hello,,o.mp4", "both a speech and a text"),
        ("v.mp4,,,,o.mp4", "names no speech and no text"),
        ("v.mp4,a.wav,,de,o.mp4", "belong to a text"),
    ],
)
def test_speech_or_text(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(LipwrightError, match=f"Row 1 of jobs.csv.*{sentence}"):
        read_table(table(tmp_path, f"video,speech,text,voice,out\n{row}\n"))


def test_a_yaml_with_defaults_a_template_and_several_speeches(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name in ("b.wav", "a.wav"):
        (tmp_path / "s" / name).write_bytes(b"")
    text = """
defaults: {crf: 18, watermark: both}
out: "done/{video}-{speech}-{crf}.mp4"
jobs:
  - {video: v.mp4, speech: [one.wav, two.wav], crf: 20}
  - {video: w.mp4, speech: "s/*.wav"}
  - {video: w.mp4, speech: x.wav, out: "{number}.mkv", lossless: true, watermark: false}
"""
    jobs = read_table(table(tmp_path, text, "jobs.yaml"))
    assert [job.out.relative_to(tmp_path).as_posix() for job in jobs] == [
        "done/v-one-20.mp4",
        "done/v-two-20.mp4",
        "done/w-a-18.mp4",
        "done/w-b-18.mp4",
        "5.mkv",
    ]
    assert jobs[0].options == {"crf": 20, "watermark": "both"}
    assert jobs[4].options == {"crf": 18, "lossless": True, "watermark": False}


def test_a_cell_with_several_speeches_and_the_template_of_the_command(tmp_path: Path) -> None:
    path = table(tmp_path, "video,speech\nv.mp4,one.wav; two.wav\n")
    jobs = read_table(path, "{video}_{speech}.webm")
    assert [job.out.name for job in jobs] == ["v_one.webm", "v_two.webm"]
    with pytest.raises(LipwrightError, match=r"Row 1 of jobs\.csv names no out"):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,out\na,b\n", "lacks the column speech"),
        ("video,speech,out\n,s.wav,o.mp4\n", "Row 1 of jobs.csv names no video"),
        ("video,speech,out,loudness\nv,s,o.mp4,3\n", "column 'loudness', which is no option"),
        ("video,speech,out,crf\nv,s,o.mp4,99\n", "crf 99 is out of range"),
        ("video,speech,out,crf\nv,s,o.mp4,good\n", "has 'good' for crf"),
        ("video,speech,out,lossless\nv,s,o.mp4,maybe\n", "Write yes or no"),
        ("video,speech,out,start\nv,s,o.mp4,soon\n", "'soon' is no time"),
        ("video,speech,out,preview\nv,s,o.mp4,p.png\n", "look at a preview with 'lipwright dub'"),
        ("video,speech,out\nv,s,o.mp4\nw,s,o.mp4\n", "which job 1 writes too"),
        ("video,speech,out\nv,s,{nose}.mp4\n", "has {nose}, but there are only"),
        ("video,speech,out\nv,s,{.mp4\n", "is no template"),
        ("video,speech,out\nv,nothing*.wav,o.mp4\n", "no file fits"),
        ("video,speech,out\nv,s,o.mp4,more\n", "more cells"),
        ("video,speech,out\n", "holds no jobs"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(LipwrightError) as caught:
        read_table(table(tmp_path, text))
    assert words in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "video,speech,out,crf\nv,s,1.mp4,77\nv,s,2.mp4,20\nv,s,3.mp4,x\n"
    with pytest.raises(LipwrightError) as caught:
        read_table(table(tmp_path, text))
    assert "Row 1" in str(caught.value)
    assert "Row 2" not in str(caught.value)
    assert "Row 3" in str(caught.value)


@pytest.mark.parametrize("text", ["", "3", "{a: 1}", "jobs: {}", "jobs: [3]", "jobs: []\nmore: 1"])
def test_a_yaml_that_is_no_table(tmp_path: Path, text: str) -> None:
    with pytest.raises(LipwrightError, match=r"jobs\.yaml"):
        read_table(table(tmp_path, text, "jobs.yaml"))


def test_a_table_of_another_kind_or_none(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="neither"):
        read_table(table(tmp_path, "x", "jobs.txt"))
    with pytest.raises(LipwrightError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_every_option_can_be_written_as_text() -> None:
    from dataclasses import asdict

    values = {name: value for name, value in asdict(DubOptions()).items() if value is not None}
    texts = {k: " ".join(v) if isinstance(v, tuple) else str(v) for k, v in values.items()}
    read = options_from(texts, "Here")
    assert DubOptions(**read) == DubOptions()
