"""Expert and generators: sizes, shapes, what flows where."""

from __future__ import annotations

import pytest
import torch

from lipwright.models.audio_encoder import SpeechEncoder
from lipwright.models.expert import SyncExpert
from lipwright.models.gallery_generator import GalleryGenerator, ReferenceCodes, soft_codes
from lipwright.models.generator import CodeGenerator
from lipwright.models.layers import fold_norms
from tests.models.sizes import count_parameters


def small_expert(window: int) -> SyncExpert:
    torch.manual_seed(0)
    return SyncExpert(window, 8, 4, (8, 8, 8, 8), 16, (4, 4, 8, 8), 1)


def small_references(**changes: object) -> GalleryGenerator:
    torch.manual_seed(0)
    arguments = {
        "code_dim": 8,
        "pose_dim": 4,
        "channels": (16, 16, 16),
        "control": 16,
        "key": 4,
        "groups": 4,
        "lip_dim": 3,
        **changes,
    }
    model = GalleryGenerator(**arguments).eval()  # type: ignore[arg-type]
    for p in model.parameters():  # wake the layers that start at zero
        if not p.any():
            torch.nn.init.normal_(p, 0.0, 0.2)
    return model


def some_references(n: int, faces: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, poses and motions."""
    g = torch.Generator().manual_seed(n)
    shapes = ((faces, n, 8, 16, 16), (faces, n, 4, 16, 16), (faces, n, 3))
    codes, poses, motions = (torch.randn(shape, generator=g) for shape in shapes)
    return codes, poses, motions


def test_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        assert count_parameters(CodeGenerator()) == 35_836_416
        assert count_parameters(SyncExpert()) == 33_748_672


@pytest.mark.parametrize("window", [5, 25])
def test_expert_embeddings_are_non_negative_and_cosines_in_range(window: int) -> None:
    expert = small_expert(window).eval()
    codes, mel = torch.randn(3, window, 8, 16, 16), torch.randn(3, 80, 4 * window)
    assert (expert.embed_faces(codes) >= 0).all()
    assert (expert.embed_speech(mel) >= 0).all()
    cosine = expert(codes, mel)
    assert cosine.shape == (3,)
    assert ((cosine >= 0) & (cosine <= 1 + 1e-6)).all()


@pytest.mark.parametrize("steps", [16, 20, 36, 40, 100])
def test_speech_encoder_takes_every_window_in_use(steps: int) -> None:
    encoder = SpeechEncoder(steps, 12, (4, 4, 8, 8), 1)
    assert encoder(torch.randn(2, 80, steps)).shape == (2, 12)


def test_paper_generator_is_signed_and_folds_frames_independently() -> None:
    torch.manual_seed(0)
    g = CodeGenerator(8, (8, 8, 8, 8, 8), (1, 1, 1, 1), 8, 20, (4, 4, 8, 8)).eval()
    pose, ref, mel = torch.randn(4, 8, 16, 16), torch.randn(4, 8, 16, 16), torch.randn(4, 80, 20)
    out = g(pose, ref, mel)
    assert out.shape == (4, 8, 16, 16)
    assert (out < 0).any()
    one = g(pose[2:3], ref[2:3], mel[2:3])
    assert torch.allclose(out[2:3], one, atol=1e-5)


def test_gallery_generator_output_has_the_length_of_codes() -> None:
    g = small_references()
    references = g.encode_references(*some_references(3, 2))
    codes, weights = g(torch.randn(2, 4, 16, 16), references, torch.randn(2, 3))
    assert codes.shape == (2, 8, 16, 16)
    assert torch.allclose(codes.square().sum(1), torch.full((2, 16, 16), 8.0), atol=1e-3)
    assert weights.shape == (2, 3)
    assert torch.allclose(weights.sum(1), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("correct", [True, False])
def test_order_of_looks_does_not_matter_and_their_content_does(correct: bool) -> None:
    g = small_references(correct=correct)
    references, poses, motions = some_references(4)
    pose, lips = torch.randn(1, 4, 16, 16), torch.randn(1, 3)
    order = [2, 0, 3, 1]
    a, w = g(pose, g.encode_references(references, poses, motions), lips)
    b, v = g(
        pose, g.encode_references(references[:, order], poses[:, order], motions[:, order]), lips
    )
    assert torch.allclose(a, b, atol=1e-4)
    assert torch.allclose(w[:, order], v, atol=1e-5)
    for changed in (
        (torch.randn_like(references), poses, motions),
        (references, torch.randn_like(poses), motions),
        (references, poses, motions[:, order]),
    ):
        assert (a - g(pose, g.encode_references(*changed), lips)[0]).abs().max() > 1e-3


def test_looks_of_one_face_serve_a_batch() -> None:
    g = small_references()
    one = g.encode_references(*some_references(2))
    pose, lips = torch.randn(3, 4, 16, 16), torch.randn(3, 3)
    assert torch.allclose(g(pose, one, lips)[0], g(pose, one.each(3), lips)[0], atol=1e-5)


def untrained(pose_gain: float, correct: bool) -> GalleryGenerator:
    torch.manual_seed(0)
    return GalleryGenerator(
        8, 4, 3, None, pose_gain, correct, (16, 16, 16), (1, 1, 1), 16, 4, 4
    ).eval()


@pytest.mark.parametrize("correct", [True, False])
def test_an_untrained_generator_is_a_kernel_regression_over_looks(correct: bool) -> None:
    """Codes weighted by exp(-|m - m_r|^2), computed here by hand, the pose left out."""
    g = untrained(0.0, correct)
    references, poses, motions = some_references(5)
    lips = torch.randn(1, 3)
    by_hand = torch.softmax(-(motions[0] - lips).square().sum(1), 0)  # nearness starts at 2
    expected = (by_hand[:, None, None, None] * references[0]).sum(0)
    expected = torch.nn.functional.normalize(expected, dim=0) * 8**0.5
    codes, weights = g(
        torch.randn(1, 4, 16, 16), g.encode_references(references, poses, motions), lips
    )
    assert torch.allclose(codes[0], expected, atol=1e-4)
    assert torch.allclose(weights[0], by_hand, atol=1e-5)


def test_the_look_in_the_same_pose_counts_most() -> None:
    g = untrained(1000.0, False)
    references, poses, motions = some_references(5)
    state = g.encode_references(references, poses, torch.zeros_like(motions))
    codes, _ = g(poses[:, 3], state, motions[:, 0])
    expected = torch.nn.functional.normalize(references[:, 3], dim=1) * 8**0.5
    assert torch.allclose(codes, expected, atol=1e-3)


def test_without_correction_there_is_nothing_to_train() -> None:
    g = untrained(20.0, False)
    assert not any(p.requires_grad for p in g.parameters())
    assert any(p.requires_grad for p in untrained(20.0, True).parameters())


def test_packed_looks_are_the_same_looks() -> None:
    references = small_references().encode_references(*some_references(2))
    for a, b in zip(references.pack(), ReferenceCodes(*references.pack()).pack(), strict=True):
        assert a is b


def test_the_lip_motion_changes_the_picture() -> None:
    g = small_references()
    references = g.encode_references(*some_references(2))
    pose = torch.randn(1, 4, 16, 16)
    a, _ = g(pose, references, torch.zeros(1, 3))
    b, _ = g(pose, references, torch.randn(1, 3))
    assert (a - b).abs().max() > 1e-3


def test_soft_codes_approach_the_entry_when_sure() -> None:
    book = torch.nn.functional.normalize(torch.randn(6, 8), dim=1) * 8**0.5
    logits = torch.full((1, 6, 2, 2), -50.0)
    logits[:, 4] = 50.0
    assert torch.allclose(soft_codes(logits, book)[0, :, 0, 0], book[4], atol=1e-4)


def test_folded_norms_draw_the_same() -> None:
    """Convolutions and transposed ones with statistics of their own."""
    torch.manual_seed(0)
    arguments = {"code_dim": 6, "pose_dim": 4, "channels": [8] * 5, "blocks": [1] * 4, "dim": 8}
    arguments["audio_channels"] = [4, 4, 8, 8]
    plain = CodeGenerator(**arguments)  # type: ignore[arg-type]
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1.0, 0.2)
            torch.nn.init.normal_(module.bias, 0.0, 0.2)
            module.running_mean.normal_(0.0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    plain.eval()
    inputs = torch.randn(3, 4, 16, 16), torch.randn(3, 6, 16, 16), torch.randn(3, 80, 20)
    before = plain(*inputs)
    fold_norms(plain)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    assert torch.allclose(plain(*inputs), before, atol=1e-4)
    folded = CodeGenerator(**arguments, folded=True)  # type: ignore[arg-type]
    folded.load_state_dict(plain.state_dict())
    assert torch.allclose(folded.eval()(*inputs), before, atol=1e-4)
