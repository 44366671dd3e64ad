"""Ask the capability guard of two models, without a site: `python -m evaluation.guard MODEL [--base BASE] --cache FOLDER`.

Ends with 0 where abilities were kept (or there is nothing to compare with), 1 where they were lost, 2 where the models could
not be asked, and 3 where it cannot be told.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evaluation.guard.asking import guard_models
from evaluation.scorecards.findings_text import guard_lines
from training.exceptions import TrainingError
from training.faults import training_error
from training.specs import HardwareSpec

KEPT, LOST, FAILED, CANNOT_TELL = 0, 1, 2, 3


def main(arguments: list[str]) -> int:
    """Print the report; returns the exit status."""
    asked = _parser().parse_args(arguments)
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        print(f"{done} replies", end="\r", file=sys.stderr)

    hardware = HardwareSpec(profile=asked.tag, precision=asked.precision, threads=asked.threads)
    how = {"hardware": hardware, "prompt_format": asked.prompt_format, "batch_size": asked.batch_size}
    try:
        report = guard_models(asked.model, asked.base, cache=asked.cache, tell=tell, **how)
    except Exception as error:  # loading and asking models raises whatever their libraries do; what none knows goes on up
        known = error if isinstance(error, TrainingError) else training_error(error)
        if known is None:
            raise
        print(f"{known.reason} {known.hint}".strip(), file=sys.stderr)
        return FAILED
    print(report.model_dump_json(indent=1) if asked.json else "\n".join(guard_lines(report)))
    if asked.base is None:
        return KEPT
    return {True: KEPT, False: LOST, None: CANNOT_TELL}[report.passed]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.guard", description=__doc__)
    parser.add_argument("model", help="a model folder, an adapter's or a run's")
    parser.add_argument("--base", help="that of the model to compare with")
    parser.add_argument("--cache", type=Path, required=True, help="folder where replies are kept")
    parser.add_argument("--tag", default="cpu", help="hardware to compute on (default: cpu)")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, help="of the processor (default: one for tiny models, else one per core)")
    parser.add_argument("--batch-size", type=int, default=128, help="questions asked together (default: 128)")
    parser.add_argument("--prompt-format", default="auto", choices=["auto", "chat", "plain"])
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
