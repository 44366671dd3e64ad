"""Serve local models: `python -m evaluation.serving NAME=PATH … [--host 127.0.0.1] [--port 8001]`.

Runs until SIGTERM or SIGINT; what has been asked by then is answered first, as far as half a minute reaches. The key that
requests must carry is in `RLWHF_SERVE_KEY`; without one, the service is for this machine alone.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from evaluation.serving.engine import Engine
from evaluation.serving.listening import LOCAL, address_of, is_local, listen
from evaluation.serving.service import KEY_VARIABLE, engine_of, server_for
from training.exceptions import TrainingError
from training.specs import HardwareSpec


def main(arguments: list[str]) -> int:
    """Serve; returns 0 once stopped, 1 where it cannot be served."""
    asked = _parser().parse_args(arguments)
    key = os.environ.pop(KEY_VARIABLE, "")
    if not key and not is_local(asked.host):
        print(f"{asked.host} can be reached by others: set {KEY_VARIABLE}, or leave --host away.", file=sys.stderr)
        return 1
    try:
        bound = listen(asked.host, asked.port)  # before models are loaded, which may take minutes
    except OSError as error:
        print(f"{asked.host}:{asked.port}: {error.strerror}. Choose another --port.", file=sys.stderr)
        return 1
    try:
        engines = {name: _engine(name, path, asked) for name, path in asked.models}
    except TrainingError as error:
        print(f"{error.reason} {error.hint}".strip(), file=sys.stderr)
        return 1
    server = server_for(engines, host=asked.host, key=key, log_level="info" if asked.verbose else "warning")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the server has its own meanwhile, and raises the signal again at its end
    print(f"Serving {', '.join(engines)} at {address_of(asked.host, bound)}", flush=True)
    server.run(sockets=[bound])
    for engine in engines.values():
        engine.close(drop=True)  # what half a minute did not answer has no caller any more
    return 0


def _engine(name: str, path: str, asked: argparse.Namespace) -> Engine:
    hardware = HardwareSpec(profile=asked.tag, precision=asked.precision, threads=asked.threads)
    return engine_of(name, path, hardware=hardware, prompt_format=asked.prompt_format, batch_size=asked.batch_size)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.serving", description=__doc__)
    parser.add_argument("models", nargs="+", type=_named, metavar="NAME=PATH", help="a model folder, an adapter's or a run's")
    parser.add_argument("--host", default=LOCAL, help=f"where to listen (default: {LOCAL}, for this machine alone)")
    parser.add_argument("--port", type=int, default=8001, help="0: any that is free (default: 8001)")
    parser.add_argument("--tag", default="cpu", help="hardware to compute on (default: cpu)")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, help="of the processor (default: one for tiny models, else one per core)")
    parser.add_argument("--batch-size", type=int, default=32, help="requests answered together at most (default: 32)")
    parser.add_argument("--prompt-format", default="auto", choices=["auto", "chat", "plain"])
    parser.add_argument("--verbose", action="store_true", help="log each start and stop")
    return parser


def _named(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError("give NAME=PATH")
    return name, path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
