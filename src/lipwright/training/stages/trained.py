"""What the headers of all stages' checkpoints say alike."""

from __future__ import annotations

from typing import Any, Protocol

from lipwright.training.config import Section
from lipwright.weights.checkpoint import RESEARCH_ONLY


class _Corpus(Protocol):
    def summary(self) -> dict[str, Any]:
        """What a corpus holds."""
        ...


def trained(history: dict[str, Any], corpus: _Corpus, **facts: Any) -> dict[str, Any]:
    """``training``, with what it was trained on and how, and ``licence``.

    Args:
        history: of the run, as the trainer gives it.
        corpus: what it was trained on.
        facts: more of the training; sections of its config as plain values.
    """
    plain = {k: v.model_dump() if isinstance(v, Section) else v for k, v in facts.items()}
    training = {**history, "data": corpus.summary(), **plain}
    return {"training": training, "licence": RESEARCH_ONLY}
