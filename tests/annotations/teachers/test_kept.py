"""Verdicts on disk, which several processes keep in one file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from annotations.teachers.kept import KeptVerdicts
from annotations.teachers.replies import Reply

ROOT = Path(__file__).parents[3]
KEEPS = """
import sys
from pathlib import Path
from annotations.teachers.kept import KeptVerdicts
from annotations.teachers.replies import Reply
kept = KeptVerdicts(Path("."), "one-way")
for number in range(200):
    kept.keep(f"{sys.argv[1]}-{number}", Reply(score=float(number % 3)))
"""


def test_what_several_processes_keep_at_once_is_all_found_also_behind_half_a_line(tmp_path: Path) -> None:
    (tmp_path / "one-way.jsonl").write_text('{"subject": "torn", "sco')
    argv = [sys.executable, "-c", KEEPS]
    writers = [subprocess.Popen([*argv, str(who)], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}) for who in range(3)]
    assert [one.wait(60) for one in writers] == [0] * 3
    kept = KeptVerdicts(tmp_path, "one-way")
    kept.refresh()
    assert len(kept) == 600 and kept.find("torn") is None
    assert kept.find("0-0") == Reply(score=0.0) and kept.find("2-199") == Reply(score=1.0)
