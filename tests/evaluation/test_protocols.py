"""Protocols: who is measured, with which speech; noise levels; ablation rows."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipwright.errors import LipwrightError
from lipwright.evaluation.experts import PixelSpaceExpert, expert_features, load_expert
from lipwright.evaluation.metrics.catalogue import names_of_protocol
from lipwright.evaluation.protocols import ablation, run
from lipwright.evaluation.protocols.clips import (
    Clip,
    collect,
    pair_unpaired,
    read_pairing,
    write_pairing,
)
from lipwright.evaluation.protocols.speech import active_power, add_noise, write_wave
from lipwright.models.pixel_expert import PixelExpert
from lipwright.weights.checkpoint import save_checkpoint


def clips(n: int, people: int = 3) -> list[Clip]:
    return [Clip(Path(f"clip{i}.mp4"), f"p{i % people}") for i in range(n)]


def test_pairing_is_fixed_and_never_the_same_person(tmp_path: Path) -> None:
    some = clips(9)
    pairs = pair_unpaired(some)
    assert [a for a, _ in pairs] == some
    assert all(a.identity != b.identity for a, b in pairs)
    again = {a.path: b.path for a, b in pair_unpaired(some[::-1])}
    assert again == {a.path: b.path for a, b in pairs}  # whatever the order of the files
    sha = write_pairing(pairs, tmp_path / "pairs.csv")
    assert sha == write_pairing(pairs, tmp_path / "again.csv")
    assert read_pairing(tmp_path / "pairs.csv", some) == pairs
    with pytest.raises(LipwrightError, match="not among the clips"):
        read_pairing(tmp_path / "pairs.csv", some[:2])
    with pytest.raises(LipwrightError, match="at least two people"):
        pair_unpaired(clips(4, 1))


def test_collect(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.txt"):
        (tmp_path / name).touch()
    assert [c.identity for c in collect([tmp_path])] == ["a", "b"]
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,identity,split,set\na.mp4,x,val,demo\nb.mp4,x,val,demo\nd.mp4,y,train,demo\n"
        "e.mp4,z,val,other\n"
    )
    assert [c.path.name for c in collect([], labels, sets="demo")] == ["a.mp4", "b.mp4"]
    assert [c.path.name for c in collect([], labels, per_identity=1)] == ["a.mp4", "e.mp4"]
    with pytest.raises(LipwrightError, match="no clips"):
        collect([])
    with pytest.raises(LipwrightError, match="no video or folder"):
        collect([tmp_path / "no"])
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LipwrightError, match="no CSV with the columns"):
        collect([], tmp_path / "bad.csv")


@pytest.mark.parametrize("snr", [20.0, 10.0, 5.0, 0.0])
def test_noise_has_the_level_that_was_asked_for(snr: float) -> None:
    t = np.arange(32000) / 16000
    speech = (0.1 * np.sin(2 * np.pi * 200 * t) * (t < 1.0)).astype(np.float32)  # half is pause
    noisy = add_noise(speech, snr, "a")
    noise = noisy - speech
    measured = 10 * np.log10(active_power(speech) / np.mean(noise**2))
    assert measured == pytest.approx(snr, abs=0.15)
    assert np.array_equal(noisy, add_noise(speech, snr, "a"))
    assert not np.array_equal(noisy, add_noise(speech, snr, "b"))


def test_noise_edges(tmp_path: Path) -> None:
    speech = np.ones(1600, np.float32)
    assert add_noise(speech, float("inf"), "a") is speech
    assert np.abs(add_noise(speech, 0.0, "a")).max() <= 1.0
    with pytest.raises(LipwrightError, match="is silent"):
        add_noise(np.zeros(1600, np.float32), 5.0, "a")
    path = write_wave(tmp_path / "x.wav", np.array([0.0, 0.5, -2.0]))
    with wave.open(str(path)) as file:
        assert file.getframerate() == 16000
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [0, 16384, -32768]


def test_finished_dubs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lipwright.methods.copy import CopyMethod

    made: list[Path] = []

    def fake(video: Path, speech: Path, out: Path, options: Any, method: Any) -> None:
        assert options.length == "video"
        assert options.manifest is False
        made.append(out)
        out.write_bytes(b"video")

    monkeypatch.setattr(run, "dub", fake)
    video, speech = tmp_path / "v.mp4", tmp_path / "s.wav"
    video.write_bytes(b"1")
    speech.write_bytes(b"2")
    spoken = [(Clip(video, "v"), speech)]
    first = run.dub_all(spoken, tmp_path / "out", CopyMethod(), {})
    assert first == run.dub_all(spoken, tmp_path / "out", CopyMethod(), {})
    assert len(made) == 1
    run.dub_all(spoken, tmp_path / "out", CopyMethod(), {"detail": "off"})
    speech.write_bytes(b"3")
    run.dub_all(spoken, tmp_path / "out", CopyMethod(), {"detail": "off"})
    assert len(made) == 3
    with pytest.raises(LipwrightError, match="no protocol 'loud'"):
        run.run_protocol("loud", [], tmp_path)


def test_metrics_of_unpaired_speech_need_no_real_mouth() -> None:
    assert "opening_r" not in names_of_protocol("unpaired")
    assert "psnr" not in names_of_protocol("unpaired")
    assert "envelope_r" in names_of_protocol("unpaired")


def test_any_expert_is_accepted_and_others_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments = {"size": 48, "window": 5, "steps": 20, "width": 0.05}
    path = tmp_path / "e.safetensors"
    header = {"method": "pixel-expert", "size": 48, "networks": {"expert": arguments}}
    save_checkpoint(path, header, {"expert": PixelExpert(**arguments)})  # type: ignore[arg-type]
    expert = load_expert(path)
    assert isinstance(expert, PixelSpaceExpert)
    crops = [np.full((64, 64, 3), 10 * i, np.uint8) for i in range(23)]
    visual, speech = expert_features(expert, crops, torch.randn(80, 60))
    assert visual.shape == speech.shape
    assert len(visual) == 19
    with torch.no_grad():  # window 4 by hand: lower halves of frames 4..8, columns 16..35
        x = torch.stack([torch.full((3, 24, 48), 10 * i / 255) for i in range(4, 9)])[None]
        expected = expert.network.embed_faces(x)[0].double().numpy()
    assert np.allclose(visual[4], expected, atol=1e-4)
    with pytest.raises(LipwrightError, match="windows of 5 frames, this clip has 3"):
        expert_features(expert, crops[:3], torch.randn(80, 60))
    save_checkpoint(path, {**header, "method": "vqgan"}, {"expert": PixelExpert(**arguments)})  # type: ignore[arg-type]
    with pytest.raises(LipwrightError, match="not of a sync expert"):
        load_expert(path)
    other = {**header, "method": "expert", "parents": {"vqgan": "0" * 64}}
    save_checkpoint(path, other, {"expert": PixelExpert(**arguments)})  # type: ignore[arg-type]
    with pytest.raises(LipwrightError, match="give the VQGAN"):
        load_expert(path)
    with pytest.raises(LipwrightError, match="codes of another VQGAN"):
        load_expert(path, path)


def test_published_expert_is_read(tmp_path: Path) -> None:
    from lipwright.models.published import wav2lip

    back = {"face_encoder": "face_encoder", "speech_encoder": "audio_encoder"}
    state = {}
    for key, value in wav2lip.published_expert().state_dict().items():
        head, rest = key.split(".", 1)
        rest = rest.replace("conv.", "conv_block.0.").replace("norm.", "conv_block.1.")
        state[f"{back[head]}.{rest}"] = value
    torch.save({"state_dict": state}, tmp_path / "lipsync_expert.pth")
    expert = load_expert(tmp_path / "lipsync_expert.pth")
    visual, speech = expert_features(
        expert, [np.zeros((128, 128, 3), np.uint8)] * 6, torch.zeros(80, 30)
    )
    assert visual.shape == speech.shape == (2, 512)
    assert (visual >= 0).all()


@pytest.mark.slow
def test_ablation_trains_each_variant_from_shared_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str, list[str]]] = []

    def stage(
        name: str, data: Path, config: Any, out: Path, changes: list[str], device: str
    ) -> None:
        calls.append((name, out.name, list(changes)))
        (out / name).mkdir(parents=True, exist_ok=True)

    def protocol(
        name: str, clips: Any, out: Path, method: str, made: Path, *a: Any, **k: Any
    ) -> Path:
        assert made.name == "vq.safetensors"
        out.mkdir(parents=True)
        row = {"psnr": {"value": 30.0, "low": None, "high": None, "clips": 1}}
        (out / "table.json").write_text(json.dumps({"rows": {"real video": {}, "vq": row}}))
        return out / "table.json"

    monkeypatch.setattr(ablation, "run_stage", stage)
    monkeypatch.setattr(ablation, "run_protocol", protocol)
    path = ablation.run_ablation(
        tmp_path, "c", [], tmp_path / "out", overrides=["generator.run.steps=3"]
    )
    shared = [c[0] for c in calls if c[1] == "shared"]
    assert shared == ["vqgan", "pose-vqgan", "codes"]
    experts = [c[2] for c in calls if c[0] == "expert"]
    assert ["model.window=5"] in experts
    assert ["model.window=25"] in experts
    generators = [c[2] for c in calls if c[0] == "generator"]
    assert all(c[0] == "run.steps=3" for c in generators)
    assert generators[0] == ["run.steps=3", "loss.sync=0"]
    assert (tmp_path / "out" / "sync-loss--T---5" / "codes").is_symlink()
    text = path.with_suffix(".md").read_text()
    assert "| without sync loss | - | 30.0 |" in text
    assert "91.2" in text
    with pytest.raises(LipwrightError, match="no override"):
        ablation.run_ablation(tmp_path, "c", [], tmp_path / "o2", overrides=["steps"])
