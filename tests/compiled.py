"""Compile the project and its tests before they are run: `python -m tests.compiled`.

Pytest's processes import the same test files at the same moment: each would compile all of them and rewrite their asserts, for
some 15 s of CPU time each, where doing so once takes 10 s, on all cores.
"""

from __future__ import annotations

import compileall
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from _pytest.assertion import rewrite
from _pytest.config import Config, get_config

ROOT = Path(__file__).resolve().parent.parent


def rewritten(file: Path, config: Config) -> Path:
    """Keep the file with its asserts rewritten where pytest looks for it; returns that place, which is current afterwards."""
    kept = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite._read_pyc(file, kept) is None:
        kept.parent.mkdir(exist_ok=True)
        source, code = rewrite._rewrite_test(file, config)
        partial = kept.with_suffix(".partial")
        with partial.open("wb") as out:
            rewrite._write_pyc_fp(out, source, code)
        partial.replace(kept)
    return kept


def rewritten_all(files: Sequence[Path]) -> None:
    config = get_config()
    for file in files:
        rewritten(file, config)


def main(packages: list[str]) -> int:
    """Compile these packages and the tests, on all cores."""
    tests = ROOT / "tests"
    files = sorted([*tests.rglob("test_*.py"), *tests.rglob("conftest.py")])
    with ProcessPoolExecutor() as pool:
        for package in (*packages, "tests"):
            pool.submit(compileall.compile_dir, ROOT / package, quiet=2)
        list(pool.map(rewritten_all, [files[first::16] for first in range(16)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
