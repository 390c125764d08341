"""What every training stage keeps to; a new one is tested here by being registered.

A method needs one file besides, ``toy/<method>.yaml``, with its stages at a size that trains in
seconds.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from lipwright.errors import LipwrightError
from lipwright.methods import export
from lipwright.methods.registry import METHODS
from lipwright.training.config import read_yaml
from lipwright.training.stages.configs import find_config
from lipwright.training.stages.registry import STAGES, StageSpec, methods
from lipwright.training.stages.run import plan_stages, run_stage
from lipwright.weights.checkpoint import load_checkpoint
from lipwright.weights.container import Graph
from tests.training.tiny import make_corpus, points_of, read_mfcc

TOY = Path(__file__).parent / "toy"
SIZES = {"memory": 48, "baselines": 48}
NAMES = tuple(STAGES)


def corpora_of(clips: int, factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the toy corpus of a method, made once for each size of crops."""

    @cache
    def made(size: int) -> Path:
        return make_corpus(factory.mktemp(f"corpus{size}"), clips=clips, size=size)

    return lambda method: made(SIZES.get(method, 32))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The toy corpus of a method."""
    return corpora_of(6, tmp_path_factory)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Another one."""
    return corpora_of(7, tmp_path_factory)


@pytest.fixture(scope="module", autouse=True)
def readers() -> Iterator[None]:
    """No network and no source video is needed to read a toy corpus."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lipwright.data.landmarks.crop_reader", points_of)
        patch.setattr("lipwright.data.landmarks.SourceMfcc", lambda _: read_mfcc)
        yield


@pytest.fixture(scope="module", autouse=True)
def one_graph_a_network() -> Iterator[None]:
    """A stage that is run again has the same networks; to convert them takes the longest."""
    made: dict[object, Graph] = {}
    convert = export.make_graph

    def make(name: str, exported: export.Export) -> Graph:
        state = [t.numpy().tobytes() for t in exported.module.state_dict().values()]
        key = (
            name,
            tuple(x.shape for x in exported.inputs),
            hashlib.sha256(b"".join(state)).digest(),
        )
        if key not in made:
            made[key] = convert(name, exported)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "make_graph", make)
        yield


@pytest.fixture(scope="module")
def finished(
    corpora: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The run folder of a method, all its stages run once in their order."""
    made: dict[str, Path] = {}

    def run(method: str) -> Path:
        if method not in made:
            out = made[method] = tmp_path_factory.mktemp(method)
            for spec in methods()[method]:
                run_stage(spec.name, corpora(method), TOY / f"{method}.yaml", out, [], "cpu")
        return made[method]

    return run


@pytest.fixture
def again(
    finished: Callable[[str], Path], corpora: Callable[[str], Path], tmp_path: Path
) -> Callable[..., Path]:
    """Runs one stage in a folder of its own, which has the results of the other stages."""

    def run(spec: StageSpec, *overrides: str) -> Path:
        beside(spec, finished(spec.method), tmp_path)
        config = TOY / f"{spec.method}.yaml"
        run_stage(spec.name, corpora(spec.method), config, tmp_path, list(overrides), "cpu")
        return tmp_path

    return run


def beside(spec: StageSpec, run: Path, out: Path) -> None:
    """Copy the results of all other stages, so that they can be damaged."""
    for entry in run.iterdir():
        if entry.name == Path(spec.result_path).parts[0] or (out / entry.name).exists():
            continue
        if entry.is_dir():
            shutil.copytree(entry, out / entry.name)
        else:
            shutil.copy(entry, out / entry.name)


def content_of(path: Path) -> str:
    """A hash of a file or a folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        if file.suffix not in (".jsonl", ".0"):  # logs hold seconds
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("method", methods())
def test_a_method_has_a_toy_config_of_all_its_stages(method: str) -> None:
    assert set(read_yaml(TOY / f"{method}.yaml")) == {s.name for s in methods()[method]}


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_ends_with_its_result(name: str, finished: Callable[[str], Path]) -> None:
    spec = STAGES[name]
    result = finished(spec.method) / spec.result_path
    assert result.exists()
    if result.is_file():
        checkpoint = load_checkpoint(result)
        becomes_graphs = spec.final and METHODS[checkpoint.header["method"]].exports is not None
        assert ("graphs" in checkpoint.header) == becomes_graphs
        assert checkpoint.header["licence"]
        assert checkpoint.header["training"]
        assert all(
            torch.isfinite(t).all() for t in checkpoint.tensors.values() if t.is_floating_point()
        )


@pytest.mark.parametrize("name", NAMES)
def test_stopped_and_resumed_a_stage_ends_with_the_same_result(
    name: str, finished: Callable[[str], Path], again: Callable[..., Path]
) -> None:
    """A stage in the trainer stops after one step; one that fits in closed form just runs twice."""
    spec = STAGES[name]
    trained = (finished(spec.method) / name / "last.pt").exists()
    out = again(spec, *(["run.max_minutes=0"] if trained else []))
    if trained:
        assert torch.load(out / name / "last.pt", weights_only=True)["step"] == 1
    again(spec)
    ours, theirs = out / spec.result_path, finished(spec.method) / spec.result_path
    if ours.is_dir():
        assert content_of(ours) == content_of(theirs)
        return
    a, b = load_checkpoint(ours), load_checkpoint(theirs)
    assert a.tensors.keys() == b.tensors.keys()
    for key, tensor in b.tensors.items():
        assert torch.equal(a.tensors[key], tensor), key


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_stage_is_not_run_again(
    name: str, finished: Callable[[str], Path], corpora: Callable[[str], Path]
) -> None:
    spec = STAGES[name]
    out = finished(spec.method)
    before = content_of(out / spec.result_path)
    run_stage(name, corpora(spec.method), TOY / f"{spec.method}.yaml", out, [], "cpu")
    assert content_of(out / spec.result_path) == before


@pytest.mark.parametrize(("name", "need"), [(n, need) for n in NAMES for need in STAGES[n].needs])
@pytest.mark.parametrize("damage", ["missing", "cut", "rubbish"])
def test_a_damaged_result_of_an_earlier_stage_is_one_sentence(
    name: str,
    need: str,
    damage: str,
    finished: Callable[[str], Path],
    corpora: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    spec = STAGES[name]
    beside(spec, finished(spec.method), tmp_path)
    result = tmp_path / STAGES[need].result_path
    files = [result] if result.is_file() else sorted(p for p in result.iterdir() if p.is_file())
    for file in files:
        if file.name == "settings.json":
            continue
        if damage == "missing":
            file.unlink()
        elif damage == "cut":
            file.write_bytes(file.read_bytes()[: max(1, file.stat().st_size // 3)])
        else:
            file.write_bytes(b"\x93NUMPY rubbish" * 7)
    with pytest.raises(LipwrightError) as caught:
        run_stage(name, corpora(spec.method), TOY / f"{spec.method}.yaml", tmp_path, [], "cpu")
    one_sentence(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_state_is_one_sentence(
    name: str, finished: Callable[[str], Path], again: Callable[..., Path], tmp_path: Path
) -> None:
    spec = STAGES[name]
    if not (finished(spec.method) / name / "last.pt").exists():
        return  # this stage keeps no state
    beside(spec, finished(spec.method), tmp_path)
    shutil.copytree(finished(spec.method) / name, tmp_path / name, dirs_exist_ok=True)
    (tmp_path / spec.result_path).unlink()
    state = tmp_path / name / "last.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(LipwrightError) as caught:
        again(spec)
    one_sentence(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_another_corpus_is_refused(
    name: str, finished: Callable[[str], Path], other: Callable[[str], Path]
) -> None:
    spec = STAGES[name]
    if not (finished(spec.method) / name / "last.pt").exists():
        return  # this stage does all of its work each time it runs
    with pytest.raises(LipwrightError, match="another corpus") as caught:
        plan_stages(
            name, other(spec.method), TOY / f"{spec.method}.yaml", finished(spec.method), [], "cpu"
        )
    one_sentence(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_key_is_named_before_any_work(
    name: str, corpora: Callable[[str], Path], tmp_path: Path
) -> None:
    spec = STAGES[name]
    out = tmp_path / "run"
    with pytest.raises(LipwrightError, match="sillykey") as caught:
        run_stage(
            name, corpora(spec.method), TOY / f"{spec.method}.yaml", out, ["sillykey=3"], "cpu"
        )
    one_sentence(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_finds_its_shipped_config(name: str) -> None:
    spec = STAGES[name]
    assert name in read_yaml(find_config("tiny", spec)) or spec.optional


@pytest.mark.parametrize("name", NAMES)
def test_needs_come_before(name: str) -> None:
    order = list(STAGES)
    assert all(order.index(need) < order.index(name) for need in STAGES[name].needs)


def one_sentence(error: LipwrightError) -> None:
    """What a user reads: one line, with an end."""
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 400
