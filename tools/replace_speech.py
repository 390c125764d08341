"""Puts another speech network into a joined VQ checkpoint; the networks that draw stay.

    python tools/replace_speech.py OLD.safetensors RUN/speech/speech.safetensors -o NEW.safetensors

Only for generators that nothing was trained of (``correct: false``): these take any lip space, and
the one of the speech network comes with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from lipwright.errors import LipwrightError
from lipwright.methods.graphs import export_graphs
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_networks import build_speech_network
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    """Parse, load, replace, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("joined", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--articulation", type=float, help="gain of the lip motion at inference")
    args = parser.parse_args()
    old, new = load_checkpoint(args.joined), load_checkpoint(args.speech)
    header = dict(old.header)
    networks = dict(header["networks"])
    if header["arch"] != "gallery" or networks["generator"].get("correct", True):
        raise LipwrightError(f"the generator of {args.joined} was trained in its own lip space.")
    modules: dict[str, nn.Module] = {
        "face": VQGAN(**networks["face"]),
        "pose": CodeEncoder(VQGAN(**networks["pose"])),
        "generator": GalleryGenerator(**networks["generator"]),
        "speech": build_speech_network(**new.header["networks"]["speech"]),
        "space": LipSpace(networks["generator"]["lip_dim"]),
    }
    for name, module in modules.items():
        (new if name in ("speech", "space") else old).load_into(name, module)
    networks["speech"] = new.header["networks"]["speech"]
    header |= {
        "networks": networks,
        "audio": new.header["audio"],
        "training": {**header["training"], "speech": new.header["training"]},
        "parents": {**header["parents"], "speech": new.sha256},
    }
    if args.articulation is not None:
        header["articulation"] = args.articulation
    save_checkpoint(args.out, header, modules)
    export_graphs(args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
