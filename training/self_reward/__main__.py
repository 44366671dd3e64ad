"""Make self-rewarding data: `python -m training.self_reward FOLDER`, with a `self_reward.json` in it."""

from __future__ import annotations

import sys

from jobs.child import report_result
from training.child_main import child_main
from training.self_reward.run import self_reward


def main(arguments: list[str]) -> int:
    """See `child_main` for the exit status."""
    return child_main(
        arguments,
        lambda folder, stop: report_result(self_reward(folder, stop), folder=folder),
        usage="python -m training.self_reward FOLDER",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
