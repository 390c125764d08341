"""Takes a joined checkpoint of the landmark cascade apart, so that one stage can be trained anew.

    python tools/split_landmark.py CHECKPOINT -o RUN

Writes the results of the stages ``landmark-space``, ``landmark-audio`` and ``landmark-video`` as
training left them. Delete the folder of the one to be trained anew; after its ``lipwright train``
in the same RUN ``lipwright train landmark`` joins all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.files.whole import file_sha256
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_video import LandmarkVideo
from lipwright.training.stages.landmark_audio import load_space
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    """Parse, load, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("joined", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    joined = load_checkpoint(args.joined)
    header = joined.header
    if header["method"] != "landmark":
        raise LipwrightError(f"{args.joined} is no joined checkpoint of the landmark cascade.")
    parts = {
        "landmark-space": ("space", load_space(joined)),
        "landmark-audio": ("audio", joined.build("audio", LandmarkAudio)),
        "landmark-video": ("video", joined.build("video", LandmarkVideo)),
    }
    further = {"landmark-audio": ("audio", "gain", "spoken"), "landmark-video": ("project",)}
    parent = ""
    for stage, (network, module) in parts.items():
        path = args.out / stage / f"{stage}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {
            "method": stage,
            "size": header["size"],
            "networks": {network: header["networks"][network]},
            "training": header["training"].get(stage, {}),
            "licence": header["licence"],
        }
        if stage in further:
            made |= {key: header[key] for key in further[stage]}
            made["parents"] = {"space": parent}
        save_checkpoint(path, made, {network: module})
        parent = parent or file_sha256(path)
        print(path)


if __name__ == "__main__":
    main()
