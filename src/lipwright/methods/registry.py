"""Methods by name or by checkpoint.

A method is declared once, by an entry of :data:`METHODS`: its name, the function that builds it and
the file that ships with the package. Adding one touches its own files and this table; help, error
messages, ``weights list`` and the contract suite read it. The table imports neither NumPy nor a
method, so that ``lipwright --help`` stays quick.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING

from lipwright.errors import LipwrightError, missing_extra

if TYPE_CHECKING:
    from lipwright.methods.base import Method

DEFAULT = "vq"
"""What ``dub`` takes when neither a method nor a checkpoint is named."""


@dataclass(frozen=True)
class MethodEntry:
    """A method of this package.

    Attributes:
        name: as on the command line and in the header of its checkpoints.
        loader: ``module:function``; imported when the method is wanted. The function takes the
            checkpoint's path (None where there is none), device and backend.
        shipped: its checkpoint in ``lipwright/weights/shipped``; None if it has none.
        weightless: whether it needs no checkpoint at all.
        exports: ``module:function`` from the path of a checkpoint to those of its networks that are
            kept in it as graphs; None for a method that PyTorch runs. It may import PyTorch.
        sees_mouth: whether it draws on the source frame with the mouth in it, on purpose. The
            contract suite holds every other method to draw the same mouth whatever the source's
            mouth does.
    """

    name: str
    loader: str
    shipped: str | None = None
    weightless: bool = False
    exports: str | None = None
    sees_mouth: bool = False

    def load(self, path: Path | None, device: str, backend: str) -> Method:
        """Build the method."""
        from lipwright.methods.base import Method

        module, function = self.loader.split(":")
        try:
            made = getattr(import_module(module), function)(path, device, backend)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise missing_extra(f"The method '{self.name}'", "gpu") from error
        assert isinstance(made, Method)
        return made


METHODS = {
    entry.name: entry
    for entry in (
        MethodEntry(
            "vq",
            "lipwright.methods.vq:load_vq",
            "vq-tiny.safetensors",
            exports="lipwright.methods.vq_networks:exports_of",
        ),
        MethodEntry("vq-paper", "lipwright.methods.vq:load_vq_paper", "vq-paper-small.safetensors"),
        MethodEntry(
            "memory",
            "lipwright.methods.memory:load_memory",
            "memory-tiny.safetensors",
            exports="lipwright.methods.memory_networks:exports_of",
        ),
        MethodEntry(
            "landmark",
            "lipwright.methods.landmark:load_landmark",
            "landmark-tiny.safetensors",
            exports="lipwright.methods.landmark_networks:exports_of",
            sees_mouth=True,
        ),
        MethodEntry("wav2lip", "lipwright.methods.pixel:load_wav2lip", sees_mouth=True),
        MethodEntry("lipgan", "lipwright.methods.pixel:load_lipgan", sees_mouth=True),
        MethodEntry("speech2vid", "lipwright.methods.pixel:load_speech2vid"),
        MethodEntry("copy", "lipwright.methods.copy:load_copy", weightless=True, sees_mouth=True),
    )
}
"""All methods by name."""
SHIPPED = {name: entry.shipped for name, entry in METHODS.items() if entry.shipped is not None}
"""Files of ``lipwright/weights/shipped`` by method."""


def shipped(name: str) -> Path:
    """The checkpoint of a method that comes with the package.

    Raises:
        LipwrightError: this installation has none.
    """
    file = METHODS[name].shipped if name in METHODS else None
    if file is None:
        raise LipwrightError(
            f"the method '{name}' comes without weights; train it with 'lipwright train {name}', "
            "or give a checkpoint with --weights."
        )
    path = Path(str(resources.files("lipwright.weights") / "shipped" / file))
    if not path.is_file():
        raise LipwrightError(
            f"this installation ships no weights for the method '{name}' ({path.name} is missing); "
            "reinstall lipwright, or give a checkpoint with --weights."
        )
    return path


def load_method(
    name_or_path: str | Path | None = None,
    device: str = "auto",
    backend: str = "auto",
    weights: str | Path | None = None,
) -> Method:
    """Load a method.

    Args:
        name_or_path: a method's name for its shipped default, or the path of a checkpoint, whose
            header says which method it is; None for the method of ``weights``, or the default.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
        weights: a checkpoint; it has to be of the named method, if one is named.

    Raises:
        LipwrightError: no such method or file, a damaged checkpoint, weights for a method that
            takes none, an absent device.
    """
    name = None if name_or_path is None else str(name_or_path)
    if name in METHODS:
        entry, path = METHODS[name], Path(weights) if weights is not None else None
    elif weights is None and name is None:
        entry, path = METHODS[DEFAULT], None
    else:
        path = Path(weights if name is None else name)  # type: ignore[arg-type]
        entry = METHODS[method_of(path)]
    if path is not None and entry.weightless:
        raise LipwrightError(
            f"the method '{entry.name}' takes no weights; leave out --weights, or name another "
            "method."
        )
    if path is None and not entry.weightless:
        path = shipped(entry.name)
    return entry.load(path, device, backend)


def method_of(path: Path) -> str:
    """The method that a checkpoint's header names.

    Raises:
        LipwrightError: no such file, no checkpoint, or not of a dubbing method.
    """
    from lipwright.weights.container import read_header

    if not path.exists():
        known = ", ".join(sorted(METHODS))
        raise LipwrightError(
            f"there is no method and no checkpoint '{path}'; choose one of {known}, or a file."
        )
    method = str(read_header(path).get("method"))
    if method not in METHODS:
        raise LipwrightError(
            f"{path} is a checkpoint of '{method}', which is not a dubbing method; "
            "for VQ lip-sync join the stages with 'lipwright train vq'."
        )
    return method
