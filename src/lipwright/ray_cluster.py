"""Work on the machines of a Ray cluster: how it is reached, and how its tasks fail.

The machines need this package and have to see the files of a job under the same paths. Ray is
imported when a cluster is asked for; it comes with the extra ``ray``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Self

from lipwright.errors import LipwrightError, missing_extra

RETRIES = 3
"""So many times a task is given to another worker if its own was lost."""


class RayCluster:
    """A connection to a Ray cluster, for the time of a ``with``.

    Args:
        address: of the cluster's head, ``auto`` for the one that this machine belongs to, or
            ``local`` for a cluster of its own in this machine.

    Raises:
        LipwrightError: Ray is not installed, or there is nobody at the address.
    """

    def __init__(self, address: str) -> None:
        if find_spec("ray") is None:
            raise missing_extra("--ray", "ray")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
        import ray

        self.ray: Any = ray
        self._own = not ray.is_initialized()
        if not self._own:
            return
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False)
        except Exception as error:
            first = str(error).strip().split("\n")[0]
            raise LipwrightError(
                f"No Ray cluster answers at '{address}' ({first or type(error).__name__}); check "
                "the address, or use --ray local."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster."""
        if self._own:
            self.ray.shutdown()

    @property
    def cpus(self) -> int:
        """Processors of all machines together, at least 1."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def task(self, function: Callable[..., Any], *, gpus: float = 0) -> Callable[..., Any]:
        """A function of which each call is a task on one processor; gives a reference at once.

        Args:
            function: of a module that the workers can import.
            gpus: share of a graphics processor that a call takes.
        """
        made: Any = self.ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(function)
        call: Callable[..., Any] = made.remote
        return call

    def result(self, reference: Any) -> Any:
        """What a task gave.

        Raises:
            LipwrightError: the workers were lost too often.
            Exception: whatever the task itself raised.
        """
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except errors.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from None
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError) as error:
            raise LipwrightError(
                f"Workers of the Ray cluster died {RETRIES + 1} times at the same piece of work; "
                "is there enough memory on its machines?"
            ) from error
        except errors.OutOfMemoryError as error:
            raise LipwrightError(
                "The machines of the Ray cluster have too little memory for a piece of this job; "
                "give them fewer processors (ray start --num-cpus), so that fewer run at once."
            ) from error
