"""Published networks: exact sizes, key conversion, and parity with a literal transcription.

The transcriptions compute with ``torch.nn.functional`` straight from tensors under published names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.codes import load_vqgan
from lipwright.errors import LipwrightError
from lipwright.models.pixel_expert import PixelExpert
from lipwright.models.pixel_unet import PixelUNet, level_sides
from lipwright.models.published import i3d, inception, lpips, syncnet, taming, wav2lip
from lipwright.models.vqgan import VQGAN
from lipwright.training.published_vqgan import convert_vqgan
from lipwright.weights.checkpoint import load_checkpoint
from tests.models.sizes import count_parameters

State = dict[str, Tensor]


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """Random weights that keep activations alive, under given names."""
    g = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes.items():
        if name.endswith(("running_var",)) or (name.endswith("weight") and len(shape) == 1):
            out[name] = torch.rand(shape, generator=g) + 0.5
        elif name.endswith(("bias", "running_mean")):
            out[name] = torch.randn(shape, generator=g) * 0.1
        else:
            fan = max(1, int(torch.tensor(shape[1:]).prod()))
            out[name] = torch.randn(shape, generator=g) * (2.0 / fan) ** 0.5
    return out


def norm_shapes(name: str, c: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{k}": (c,) for k in ("weight", "bias", "running_mean", "running_var")}


def normed(s: State, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    return F.batch_norm(
        x,
        s[f"{name}.running_mean"],
        s[f"{name}.running_var"],
        s[f"{name}.weight"],
        s[f"{name}.bias"],
        eps=eps,
    )


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (syncnet.SyncNet, 13_631_616),
        (wav2lip.published_generator, 36_298_035),
        (wav2lip.published_expert, 16_435_072),
        (inception.InceptionFID, 23_850_960),
        (i3d.I3D, 12_697_264),
        (VQGAN, 72_141_699),
    ],
)
def test_parameter_counts(build: Callable[[], torch.nn.Module], count: int) -> None:
    with torch.device("meta"):
        assert count_parameters(build()) == count


# Wav2Lip: (input, output, kernel, stride, padding, residual or transposed) per published layer.
ENCODER = [
    [(6, 16, 7, 1, 3, "")],
    [(16, 32, 3, 2, 1, ""), (32, 32, 3, 1, 1, "r"), (32, 32, 3, 1, 1, "r")],
    [(32, 64, 3, 2, 1, ""), *[(64, 64, 3, 1, 1, "r")] * 3],
    [(64, 128, 3, 2, 1, ""), *[(128, 128, 3, 1, 1, "r")] * 2],
    [(128, 256, 3, 2, 1, ""), *[(256, 256, 3, 1, 1, "r")] * 2],
    [(256, 512, 3, 2, 1, ""), (512, 512, 3, 1, 1, "r")],
    [(512, 512, 3, 1, 0, ""), (512, 512, 1, 1, 0, "")],
]
SPEECH = [
    (1, 32, 3, 1, 1, ""),
    *[(32, 32, 3, 1, 1, "r")] * 2,
    (32, 64, 3, (3, 1), 1, ""),
    *[(64, 64, 3, 1, 1, "r")] * 2,
    (64, 128, 3, 3, 1, ""),
    *[(128, 128, 3, 1, 1, "r")] * 2,
    (128, 256, 3, (3, 2), 1, ""),
    (256, 256, 3, 1, 1, "r"),
    (256, 512, 3, 1, 0, ""),
    (512, 512, 1, 1, 0, ""),
]
DECODER = [
    [(512, 512, 1, 1, 0, "")],
    [(1024, 512, 3, 1, 0, "t"), (512, 512, 3, 1, 1, "r")],
    [(1024, 512, 3, 2, 1, "t"), *[(512, 512, 3, 1, 1, "r")] * 2],
    [(768, 384, 3, 2, 1, "t"), *[(384, 384, 3, 1, 1, "r")] * 2],
    [(512, 256, 3, 2, 1, "t"), *[(256, 256, 3, 1, 1, "r")] * 2],
    [(320, 128, 3, 2, 1, "t"), *[(128, 128, 3, 1, 1, "r")] * 2],
    [(160, 64, 3, 2, 1, "t"), *[(64, 64, 3, 1, 1, "r")] * 2],
]
EXPERT_FACES = [
    (15, 32, 7, 1, 3, ""),
    (32, 64, 5, (1, 2), 1, ""),
    *[(64, 64, 3, 1, 1, "r")] * 2,
    (64, 128, 3, 2, 1, ""),
    *[(128, 128, 3, 1, 1, "r")] * 3,
    (128, 256, 3, 2, 1, ""),
    *[(256, 256, 3, 1, 1, "r")] * 2,
    (256, 512, 3, 2, 1, ""),
    *[(512, 512, 3, 1, 1, "r")] * 2,
    (512, 512, 3, 2, 1, ""),
    (512, 512, 3, 1, 0, ""),
    (512, 512, 1, 1, 0, ""),
]
EXPERT_SPEECH = [*SPEECH[:11], (256, 256, 3, 1, 1, "r"), *SPEECH[11:]]


def layer_shapes(name: str, layer: tuple) -> dict[str, tuple[int, ...]]:
    c_in, c_out, k, _, _, kind = layer
    weight = (c_in, c_out, k, k) if kind == "t" else (c_out, c_in, k, k)
    head = f"{name}.conv_block"
    return {f"{head}.0.weight": weight, f"{head}.0.bias": (c_out,)} | norm_shapes(
        f"{head}.1", c_out
    )


def run_layer(s: State, name: str, layer: tuple, x: Tensor) -> Tensor:
    _, _, _, stride, padding, kind = layer
    w, b = s[f"{name}.conv_block.0.weight"], s[f"{name}.conv_block.0.bias"]
    if kind == "t":
        extra = 1 if stride == 2 else 0
        y = F.conv_transpose2d(x, w, b, stride, padding, extra)
    else:
        y = F.conv2d(x, w, b, stride, padding)
    y = normed(s, f"{name}.conv_block.1", y)
    return F.relu(y + x if kind == "r" else y)


def chain_shapes(name: str, layers: list[tuple]) -> dict[str, tuple[int, ...]]:
    out: dict[str, tuple[int, ...]] = {}
    for i, layer in enumerate(layers):
        out |= layer_shapes(f"{name}.{i}", layer)
    return out


def run_chain(s: State, name: str, layers: list[tuple], x: Tensor) -> Tensor:
    for i, layer in enumerate(layers):
        x = run_layer(s, f"{name}.{i}", layer, x)
    return x


def wav2lip_state() -> State:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, block in enumerate(ENCODER):
        shapes |= chain_shapes(f"face_encoder_blocks.{i}", block)
    shapes |= chain_shapes("audio_encoder", SPEECH)
    for i, block in enumerate(DECODER):
        shapes |= chain_shapes(f"face_decoder_blocks.{i}", block)
    shapes |= layer_shapes("output_block.0", (80, 32, 3, 1, 1, ""))
    shapes |= {"output_block.1.weight": (3, 32, 1, 1), "output_block.1.bias": (3,)}
    return random_state(shapes)


def test_wav2lip_generator_computes_what_the_published_layout_says() -> None:
    s = wav2lip_state()
    faces, mel = torch.rand(2, 6, 96, 96), torch.randn(2, 80, 16)
    x, maps = faces, []
    for i, block in enumerate(ENCODER):
        x = run_chain(s, f"face_encoder_blocks.{i}", block, x)
        maps.append(x)
    y = run_chain(s, "audio_encoder", SPEECH, mel[:, None])
    for i, block in enumerate(DECODER):
        y = torch.cat([run_chain(s, f"face_decoder_blocks.{i}", block, y), maps.pop()], 1)
    y = run_layer(s, "output_block.0", (80, 32, 3, 1, 1, ""), y)
    expected = torch.sigmoid(F.conv2d(y, s["output_block.1.weight"], s["output_block.1.bias"]))
    ours = wav2lip.published_generator().eval()
    published = {f"module.{k}": v for k, v in s.items()}
    missing, unexpected = ours.load_state_dict(wav2lip.generator_state(published), strict=False)
    assert not unexpected
    assert all(k.endswith("num_batches_tracked") for k in missing)
    with torch.no_grad():
        assert torch.allclose(ours(faces, mel), expected, atol=1e-5)
    assert expected.std() > 1e-3  # not saturated to a constant


def test_wav2lip_expert_computes_what_the_published_layout_says() -> None:
    s = random_state(
        chain_shapes("face_encoder", EXPERT_FACES) | chain_shapes("audio_encoder", EXPERT_SPEECH)
    )
    frames, mel = torch.rand(2, 5, 3, 48, 96), torch.randn(2, 80, 16)
    v = F.normalize(run_chain(s, "face_encoder", EXPERT_FACES, frames.flatten(1, 2)).flatten(1))
    a = F.normalize(run_chain(s, "audio_encoder", EXPERT_SPEECH, mel[:, None]).flatten(1))
    ours = wav2lip.published_expert().eval()
    ours.load_state_dict(wav2lip.expert_state(s), strict=False)
    with torch.no_grad():
        assert torch.allclose(ours.embed_faces(frames), v, atol=1e-5)
        assert torch.allclose(ours.embed_speech(mel), a, atol=1e-5)
        assert torch.allclose(ours(frames, mel), F.cosine_similarity(v, a), atol=1e-5)


def test_foreign_names_are_refused() -> None:
    with pytest.raises(LipwrightError, match=r"'elephant\.0'"):
        wav2lip.generator_state({"elephant.0": torch.zeros(1)})
    with pytest.raises(LipwrightError, match=r"'netcnnaud\.2\.weight'"):
        syncnet.convert({"netcnnaud.2.weight": torch.zeros(1)})


AUDIO_CONVS = {
    0: (1, 64, (3, 3), 1, 1),
    4: (64, 192, (3, 3), 1, 1),
    8: (192, 384, (3, 3), 1, 1),
    11: (384, 256, (3, 3), 1, 1),
    14: (256, 256, (3, 3), 1, 1),
    18: (256, 512, (5, 4), 1, 0),
}
LIP_CONVS = {
    0: (3, 96, (5, 7, 7), (1, 2, 2), 0),
    4: (96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)),
    8: (256, 256, (1, 3, 3), 1, (0, 1, 1)),
    11: (256, 256, (1, 3, 3), 1, (0, 1, 1)),
    14: (256, 256, (1, 3, 3), 1, (0, 1, 1)),
    18: (256, 512, (1, 6, 6), 1, 0),
}


def test_syncnet_computes_what_the_published_layout_says() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for part, convs in (("netcnnaud", AUDIO_CONVS), ("netcnnlip", LIP_CONVS)):
        for i, (c_in, c_out, kernel, _, _) in convs.items():
            shapes |= {f"{part}.{i}.weight": (c_out, c_in, *kernel), f"{part}.{i}.bias": (c_out,)}
            shapes |= norm_shapes(f"{part}.{i + 1}", c_out)
    for part in ("netfcaud", "netfclip"):
        shapes |= {f"{part}.0.weight": (512, 512), f"{part}.0.bias": (512,)}
        shapes |= norm_shapes(f"{part}.1", 512)
        shapes |= {f"{part}.3.weight": (1024, 512), f"{part}.3.bias": (1024,)}
    s = random_state(shapes)

    def trunk(part: str, convs: dict, x: Tensor, conv: Callable, pools: dict) -> Tensor:
        for i, (_, _, _, stride, padding) in convs.items():
            x = conv(x, s[f"{part}.{i}.weight"], s[f"{part}.{i}.bias"], stride, padding)
            x = F.relu(normed(s, f"{part}.{i + 1}", x))
            if i in pools:
                x = pools[i](x)
        return x.flatten(1)

    def head(part: str, x: Tensor) -> Tensor:
        x = F.linear(x, s[f"{part}.0.weight"], s[f"{part}.0.bias"])
        x = F.relu(normed(s, f"{part}.1", x))
        return F.linear(x, s[f"{part}.3.weight"], s[f"{part}.3.bias"])

    mfcc = torch.randn(2, 1, 13, 20)
    frames = torch.rand(1, 3, 5, 224, 224) * 255
    audio_pools = {
        0: lambda x: x,
        4: lambda x: F.max_pool2d(x, 3, (1, 2)),
        14: lambda x: F.max_pool2d(x, 3, 2),
    }
    lip_pools = {
        0: lambda x: F.max_pool3d(x, (1, 3, 3), (1, 2, 2)),
        4: lambda x: F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
        14: lambda x: F.max_pool3d(x, (1, 3, 3), (1, 2, 2)),
    }
    net = syncnet.SyncNet().eval()
    missing, unexpected = net.load_state_dict(syncnet.convert(s), strict=False)
    assert not unexpected
    assert all(k.endswith("num_batches_tracked") for k in missing)
    with torch.no_grad():
        a = head("netfcaud", trunk("netcnnaud", AUDIO_CONVS, mfcc, F.conv2d, audio_pools))
        v = head("netfclip", trunk("netcnnlip", LIP_CONVS, frames, F.conv3d, lip_pools))
        assert torch.allclose(net.embed_speech(mfcc), a, atol=1e-4)
        assert torch.allclose(net.embed_faces(frames), v, rtol=1e-3, atol=1e-2)


def test_inception_pools_as_fid_wants_and_halves_where_it_should() -> None:
    """Layer names and shapes of torchvision's file, FID's pooling, order of the branches."""
    net = inception.InceptionFID().eval()
    names = net.state_dict()
    assert names["Mixed_5b.branch_pool.conv.weight"].shape == (32, 192, 1, 1)
    assert names["Mixed_6b.branch7x7dbl_5.conv.weight"].shape == (192, 128, 1, 7)
    assert names["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert names["fc.weight"].shape == (1008, 2048)
    net.load_state_dict(
        inception.convert(dict(names) | {"AuxLogits.conv0.conv.weight": torch.zeros(1)})
    )
    block = net.Mixed_7c
    x = torch.rand(1, 2048, 8, 8)
    with torch.no_grad():
        y = block(x)
        assert y.shape == (1, 2048, 8, 8)
        unit = block.branch_pool
        pooled = F.relu(
            normed(
                dict(unit.bn.state_dict(prefix="n.")),
                "n",
                F.conv2d(F.max_pool2d(x, 3, 1, 1), unit.conv.weight),
                1e-3,
            )
        )
        assert torch.allclose(y[:, -192:], pooled, atol=1e-5)
        one = block.branch1x1(x)
        assert torch.equal(y[:, :320], one)
        mixed = net.Mixed_5b
        corner = mixed(torch.ones(1, 192, 5, 5))[:, -32:]
        # Padding is left out of the mean, so a constant stays constant to the corner.
        assert torch.allclose(corner[..., 0, 0], corner[..., 2, 2], atol=1e-5)
        assert net.features(torch.rand(1, 3, 40, 40)).shape == (1, 2048)


def test_i3d_same_padding_and_logits() -> None:
    x = torch.zeros(1, 1, 4, 5, 6)
    assert i3d.same_padding(x, (3, 3, 3), (2, 2, 2)).shape[2:] == (5, 7, 7)
    # Length 4 with kernel 3 and stride 2 lacks one, which goes behind.
    padded = i3d.same_padding(torch.ones(1, 1, 4, 1, 1), (3, 1, 1), (2, 1, 1))
    assert padded.flatten().tolist() == [1, 1, 1, 1, 0]
    with torch.device("meta"):
        net = i3d.I3D().eval()
        assert net.features(torch.zeros(1, 3, 16, 224, 224)).shape == (1, 400)
    names = net.state_dict()
    for name, shape in {
        "Conv3d_1a_7x7.conv3d.weight": (64, 3, 7, 7, 7),
        "Mixed_3b.b1b.bn.running_var": (128,),
        "Mixed_5c.b3b.conv3d.weight": (128, 832, 1, 1, 1),
        "logits.conv3d.bias": (400,),
    }.items():
        assert names[name].shape == shape


def test_lpips_is_zero_for_equal_pictures_and_matches_by_hand() -> None:
    trunk, heads, c_in = {}, {}, 3
    for i, c in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
        strict=True,
    ):
        trunk |= {f"features.{i}.weight": (c, c_in, 3, 3), f"features.{i}.bias": (c,)}
        c_in = c
    for n, c in enumerate((64, 128, 256, 512, 512)):
        heads[f"lin{n}.model.1.weight"] = (1, c, 1, 1)
    t = random_state(trunk)
    h = {k: v.abs() for k, v in random_state(heads, 1).items()}
    net = lpips.LPIPS().eval()
    net.load_state_dict(lpips.convert(t, h))
    x, y = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1

    def features(v: Tensor) -> list[Tensor]:
        shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
        v = (v - shift) / torch.tensor([0.458, 0.448, 0.450])[:, None, None]
        out = []
        for stage in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
            if stage[0]:
                v = F.max_pool2d(v, 2)
            for i in stage:
                v = F.relu(F.conv2d(v, t[f"features.{i}.weight"], t[f"features.{i}.bias"], 1, 1))
            out.append(v)
        return out

    total = 0.0
    for n, (a, b) in enumerate(zip(features(x), features(y), strict=True)):
        a, b = (f / f.norm(dim=1, keepdim=True) for f in (a, b))
        total += float(F.conv2d((a - b) ** 2, h[f"lin{n}.model.1.weight"]).mean())
    with torch.no_grad():
        assert float(net.distance(x, x)) == 0.0
        assert float(net.distance(x, y)) == pytest.approx(total, rel=1e-4)


def taming_names(channels: tuple[int, ...], blocks: int, z: int, dim: int, codes: int) -> State:
    """A published VQGAN's names and shapes, written from its definition."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, a: int, b: int, k: int) -> None:
        shapes.update({f"{name}.weight": (b, a, k, k), f"{name}.bias": (b,)})

    def group(name: str, c: int) -> None:
        shapes.update({f"{name}.weight": (c,), f"{name}.bias": (c,)})

    def res(name: str, a: int, b: int) -> None:
        group(f"{name}.norm1", a)
        conv(f"{name}.conv1", a, b, 3)
        group(f"{name}.norm2", b)
        conv(f"{name}.conv2", b, b, 3)
        if a != b:
            conv(f"{name}.nin_shortcut", a, b, 1)

    def attn(name: str, c: int) -> None:
        group(f"{name}.norm", c)
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{name}.{part}", c, c, 1)

    n, top = len(channels), channels[-1]
    conv("encoder.conv_in", 3, channels[0], 3)
    width = channels[0]
    for i, c in enumerate(channels):
        for j in range(blocks):
            res(f"encoder.down.{i}.block.{j}", width, c)
            width = c
            if i == n - 1:
                attn(f"encoder.down.{i}.attn.{j}", c)
        if i < n - 1:
            conv(f"encoder.down.{i}.downsample.conv", c, c, 3)
    conv("decoder.conv_in", z, top, 3)
    for side in ("encoder", "decoder"):
        res(f"{side}.mid.block_1", top, top)
        attn(f"{side}.mid.attn_1", top)
        res(f"{side}.mid.block_2", top, top)
    group("encoder.norm_out", top)
    conv("encoder.conv_out", top, z, 3)
    for i in reversed(range(n)):
        for j in range(blocks + 1):
            res(f"decoder.up.{i}.block.{j}", width, channels[i])
            width = channels[i]
            if i == n - 1:
                attn(f"decoder.up.{i}.attn.{j}", width)
        if i > 0:
            conv(f"decoder.up.{i}.upsample.conv", width, width, 3)
    group("decoder.norm_out", width)
    conv("decoder.conv_out", width, 3, 3)
    conv("quant_conv", z, dim, 1)
    conv("post_quant_conv", dim, z, 1)
    shapes["quantize.embedding.weight"] = (codes, dim)
    return random_state(shapes) | {"loss.logvar": torch.zeros(1)}


def test_taming_vqgan_goes_into_ours() -> None:
    s = taming_names((32, 32, 64), 2, 16, 8, 24)
    arguments = taming.infer_arguments(s)
    assert arguments["channels"] == [32, 32, 64]
    assert arguments["n_codes"] == 24
    model = taming.load_taming(s)

    # A published block, literally: encoder.down.2.block.0 has a shortcut and attention behind it.
    def g(name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, s[f"{name}.weight"], s[f"{name}.bias"], 1e-6)

    def c(name: str, x: Tensor, pad: int = 1) -> Tensor:
        return F.conv2d(x, s[f"{name}.weight"], s[f"{name}.bias"], 1, pad)

    x = torch.randn(1, 32, 4, 4)
    at = "encoder.down.2.block.0"
    h = c(f"{at}.conv1", F.silu(g(f"{at}.norm1", x)))
    h = c(f"{at}.conv2", F.silu(g(f"{at}.norm2", h))) + c(f"{at}.nin_shortcut", x, 0)
    at = "encoder.down.2.attn.0"
    n = g(f"{at}.norm", h)
    q, k, v = (c(f"{at}.{p}", n, 0).flatten(2) for p in "qkv")
    w = torch.softmax(q.transpose(1, 2) @ k * 64**-0.5, dim=2)
    a = (v @ w.transpose(1, 2)).reshape(h.shape)
    expected = h + c(f"{at}.proj_out", a, 0)
    with torch.no_grad():
        assert torch.allclose(model.encoder.down[7](model.encoder.down[6](x)), expected, atol=1e-4)
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    assert model(picture)[0].shape == picture.shape


def test_taming_conversion_fills_every_tensor_and_refuses_others() -> None:
    shapes = taming_names((32, 32, 64), 2, 16, 8, 24)
    _, ours = taming.convert(shapes)
    assert ours.keys() == VQGAN(**taming.infer_arguments(shapes)).state_dict().keys()
    with pytest.raises(LipwrightError, match="no VQGAN"):
        taming.convert({"a.b": torch.zeros(1)})
    with pytest.raises(LipwrightError, match="has no place"):
        taming.convert(shapes | {"extra.weight": torch.zeros(1)})


def test_taming_checkpoint_becomes_one_of_ours(tmp_path: Path) -> None:
    s = taming_names((32, 32, 64), 2, 16, 8, 24)
    torch.save({"state_dict": s, "epoch": 3}, tmp_path / "v.ckpt")
    convert_vqgan(tmp_path / "v.ckpt", tmp_path / "v.safetensors")
    ours = load_vqgan(load_checkpoint(tmp_path / "v.safetensors"))
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        assert torch.equal(ours(picture)[0], taming.load_taming(s)(picture)[0])


@pytest.mark.parametrize(("size", "levels"), [(96, 6), (128, 6), (192, 7), (256, 7), (768, 9)])
def test_levels_grow_with_the_crop(size: int, levels: int) -> None:
    assert len(level_sides(size)) == levels


@pytest.mark.parametrize("size", [48, 96, 128, 256])
def test_pixel_networks_at_any_size(size: int) -> None:
    net = PixelUNet(size, 2, 20, width=0.05).eval()
    out = net(torch.rand(2, 6, size, size), torch.randn(2, 80, 20))
    assert out.shape == (2, 3, size, size)
    assert 0 <= out.min() <= out.max() <= 1
    expert = PixelExpert(size, 5, 20, width=0.05).eval()
    cosine = expert(torch.rand(2, 5, 3, size // 2, size), torch.randn(2, 80, 20))
    assert cosine.shape == (2,)
    assert 0 <= cosine.min() <= cosine.max() <= 1 + 1e-5


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(LipwrightError, match="cannot be halved"):
        PixelUNet(100)
    with pytest.raises(LipwrightError, match="48 px"):
        PixelExpert(32)
