"""Ctrl-C and SIGTERM while a training runs: finish the step, save, and leave."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Hears the first request to stop instead of dying of it; the second one is obeyed at once.

    Only the main thread of a program can listen for signals; elsewhere nothing is received.

    Attributes:
        agreed_to_stop: whether all processes have agreed that there was a request.
    """

    def __init__(self) -> None:
        self.agreed_to_stop = False
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._on_signal) for s in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agreed(self, accelerator: Accelerator) -> bool:
        """Whether any process has received a request; then all of them have.

        To be asked by every process after every step: if each obeyed its own request, they would
        part at different steps and wait for each other for ever.
        """
        asked_here = self._asked
        if accelerator.num_processes > 1:
            asked = torch.tensor(float(asked_here), device=accelerator.device)
            # A request may come in while this process waits here; that one is for the next step.
            asked_here = bool(accelerator.reduce(asked, reduction="sum") > 0)
        self.agreed_to_stop = self.agreed_to_stop or asked_here
        return self.agreed_to_stop

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
