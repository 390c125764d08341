"""Signals after networks have come and gone, in a process of its own: it must survive them."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, os, signal
import torch
from torch import nn
from lipwright.methods.engine import OpenVinoEngine

def engine():
    made = OpenVinoEngine(nn.Conv2d(3, 4, 3).eval())
    made(torch.zeros(1, 3, 8, 8))
    return made

first, second = engine(), engine()
first = engine()  # the next is there before the last one goes
second = engine()
del first, second
gc.collect()
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
os.kill(os.getpid(), signal.SIGINT)
print("heard", len(heard))
"""


def test_a_signal_after_all_networks_are_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "heard 1"), done.stderr[-500:]
