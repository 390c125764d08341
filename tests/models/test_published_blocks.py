"""Inception-v3 (FID variant) and I3D, block by block against literal transcriptions.

The transcriptions name every tensor as the published files do and compute with
``torch.nn.functional``; small maps, so that whole networks are covered in a moment.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.models.published import i3d, inception

from .test_published import normed, random_state


def inception_unit(s: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, pad=0) -> Tensor:
    y = F.conv2d(x, s[f"{name}.conv.weight"], None, stride, pad)
    return F.relu(normed(s, f"{name}.bn", y, 1e-3))


def mean_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def block_a(s: dict[str, Tensor], n: str, x: Tensor) -> Tensor:
    def u(k: str, v: Tensor, pad=0) -> Tensor:
        return inception_unit(s, f"{n}.{k}", v, 1, pad)

    five = u("branch5x5_2", u("branch5x5_1", x), 2)
    double = u("branch3x3dbl_3", u("branch3x3dbl_2", u("branch3x3dbl_1", x), 1), 1)
    return torch.cat([u("branch1x1", x), five, double, u("branch_pool", mean_pool(x))], 1)


def block_b(s: dict[str, Tensor], n: str, x: Tensor) -> Tensor:
    three = inception_unit(s, f"{n}.branch3x3", x, 2)
    d = inception_unit(s, f"{n}.branch3x3dbl_1", x)
    d = inception_unit(s, f"{n}.branch3x3dbl_2", d, 1, 1)
    d = inception_unit(s, f"{n}.branch3x3dbl_3", d, 2)
    return torch.cat([three, d, F.max_pool2d(x, 3, 2)], 1)


def block_c(s: dict[str, Tensor], n: str, x: Tensor) -> Tensor:
    def u(k: str, v: Tensor, pad=0) -> Tensor:
        return inception_unit(s, f"{n}.{k}", v, 1, pad)

    seven = u("branch7x7_3", u("branch7x7_2", u("branch7x7_1", x), (0, 3)), (3, 0))
    d = u("branch7x7dbl_3", u("branch7x7dbl_2", u("branch7x7dbl_1", x), (3, 0)), (0, 3))
    d = u("branch7x7dbl_5", u("branch7x7dbl_4", d, (3, 0)), (0, 3))
    return torch.cat([u("branch1x1", x), seven, d, u("branch_pool", mean_pool(x))], 1)


def block_d(s: dict[str, Tensor], n: str, x: Tensor) -> Tensor:
    three = inception_unit(s, f"{n}.branch3x3_1", x)
    three = inception_unit(s, f"{n}.branch3x3_2", three, 2)
    y = inception_unit(s, f"{n}.branch7x7x3_1", x)
    y = inception_unit(s, f"{n}.branch7x7x3_2", y, 1, (0, 3))
    y = inception_unit(s, f"{n}.branch7x7x3_3", y, 1, (3, 0))
    y = inception_unit(s, f"{n}.branch7x7x3_4", y, 2)
    return torch.cat([three, y, F.max_pool2d(x, 3, 2)], 1)


def block_e(s: dict[str, Tensor], n: str, x: Tensor, last: bool) -> Tensor:
    def u(k: str, v: Tensor, pad=0) -> Tensor:
        return inception_unit(s, f"{n}.{k}", v, 1, pad)

    t = u("branch3x3_1", x)
    d = u("branch3x3dbl_2", u("branch3x3dbl_1", x), 1)
    pooled = F.max_pool2d(x, 3, 1, 1) if last else mean_pool(x)
    parts = [u("branch1x1", x), u("branch3x3_2a", t, (0, 1)), u("branch3x3_2b", t, (1, 0))]
    parts += [u("branch3x3dbl_3a", d, (0, 1)), u("branch3x3dbl_3b", d, (1, 0))]
    return torch.cat([*parts, u("branch_pool", pooled)], 1)


BLOCKS = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), block_a),
    "Mixed_6a": block_b,
    **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), block_c),
    "Mixed_7a": block_d,
    "Mixed_7b": lambda s, n, x: block_e(s, n, x, last=False),
    "Mixed_7c": lambda s, n, x: block_e(s, n, x, last=True),
}
CHANNELS = {
    **{"Mixed_5b": 192, "Mixed_5c": 256, "Mixed_5d": 288, "Mixed_6a": 288, "Mixed_7a": 768},
    **{"Mixed_7b": 1280, "Mixed_7c": 2048},
}


@pytest.mark.parametrize(
    "name", ["Mixed_5c", "Mixed_6a", "Mixed_6c", "Mixed_7a", "Mixed_7b", "Mixed_7c"]
)
def test_inception_block(name: str) -> None:
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in inception.InceptionFID().state_dict().items()}
    mine = {k: v for k, v in shapes.items() if k.startswith(name) and "num_batches" not in k}
    s = random_state(mine)
    builders = {
        "Mixed_5c": lambda: inception._a(256, 64),
        "Mixed_6a": lambda: inception._b(288),
        "Mixed_6c": lambda: inception._c(160),
        "Mixed_7a": inception._d,
        "Mixed_7b": lambda: inception._e(1280, "average"),
        "Mixed_7c": lambda: inception._e(2048, "max"),
    }
    block = builders[name]().eval()
    block.load_state_dict({k.removeprefix(f"{name}."): v for k, v in s.items()}, strict=False)
    x = torch.rand(1, CHANNELS.get(name, 768), 5, 6)
    with torch.no_grad():
        assert torch.allclose(block(x), BLOCKS[name](s, name, x), rtol=1e-4, atol=1e-4)


def test_inception_trunk_runs_in_the_published_order() -> None:
    with torch.device("meta"):
        net = inception.InceptionFID()
    before = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "pool_1"]
    before += ["Conv2d_3b_1x1", "Conv2d_4a_3x3", "pool_2"]
    assert net.order == [*before, *BLOCKS]
    x = torch.zeros(1, 3, 299, 299, device="meta")
    sides = []
    with torch.no_grad():
        for name in net.order:
            x = net.get_submodule(name)(x)
            sides.append(x.shape[-1])
    assert sides == [149, 147, 147, 73, 73, 71, 35, 35, 35, 35, 17, 17, 17, 17, 17, 8, 8, 8]


def i3d_unit(s: dict[str, Tensor], name: str, x: Tensor, pad: int = 0) -> Tensor:
    y = F.conv3d(x, s[f"{name}.conv3d.weight"], None, 1, pad)
    return F.relu(normed(s, f"{name}.bn", y, 1e-3))


def test_i3d_block() -> None:
    block = i3d.Mixed3d(24, (8, 6, 10, 4, 6, 5)).eval()
    shapes = {k: tuple(v.shape) for k, v in block.state_dict().items() if "num_batches" not in k}
    s = random_state(shapes)
    block.load_state_dict(s, strict=False)
    x = torch.rand(1, 24, 3, 5, 5)
    pooled = F.max_pool3d(F.pad(x, (1,) * 6), 3, 1)
    expected = torch.cat(
        [
            i3d_unit(s, "b0", x),
            i3d_unit(s, "b1b", i3d_unit(s, "b1a", x), 1),
            i3d_unit(s, "b2b", i3d_unit(s, "b2a", x), 1),
            i3d_unit(s, "b3b", pooled),
        ],
        1,
    )
    with torch.no_grad():
        assert torch.allclose(block(x), expected, atol=1e-5)


def test_i3d_trunk_has_the_published_shapes() -> None:
    with torch.device("meta"):
        net = i3d.I3D()
    x = torch.zeros(1, 3, 16, 224, 224, device="meta")
    seen = {}
    with torch.no_grad():
        for name in net.order:
            x = net.get_submodule(name)(x)
            seen[name] = tuple(x.shape[1:])
    assert seen["Conv3d_1a_7x7"] == (64, 8, 112, 112)
    assert seen["Conv3d_2c_3x3"] == (192, 8, 56, 56)
    assert seen["Mixed_3c"] == (480, 8, 28, 28)
    assert seen["Mixed_4f"] == (832, 4, 14, 14)
    assert seen["Mixed_5c"] == (1024, 2, 7, 7)
