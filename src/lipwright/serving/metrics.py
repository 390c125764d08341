"""Numbers for Prometheus, in its text format."""

from __future__ import annotations

from collections.abc import Mapping

from lipwright import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def page(
    jobs: Mapping[tuple[str, str], int],
    workers: int,
    stored_bytes: int,
    requests: Mapping[int, int],
) -> str:
    """The metrics page.

    Args:
        jobs: number by kind and state.
        workers: worker processes that live.
        stored_bytes: uploads and results.
        requests: answered requests by status.
    """
    lines = [
        *_head("lipwright_info", "gauge", "The running version."),
        f'lipwright_info{{version="{__version__}"}} 1',
        *_head("lipwright_jobs", "gauge", "Jobs in the database."),
        *(
            f'lipwright_jobs{{kind="{kind}",state="{state}"}} {count}'
            for (kind, state), count in sorted(jobs.items())
        ),
        *_head("lipwright_workers", "gauge", "Worker processes that live."),
        f"lipwright_workers {workers}",
        *_head("lipwright_stored_bytes", "gauge", "Bytes of uploads and results."),
        f"lipwright_stored_bytes {stored_bytes}",
        *_head("lipwright_requests_total", "counter", "Answered requests since the start."),
        *(
            f'lipwright_requests_total{{status="{status}"}} {count}'
            for status, count in sorted(requests.items())
        ),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"
