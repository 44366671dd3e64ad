"""The catalogues: complete, with the same placeholders, and compiled."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_language_has_every_message_and_its_compiled_file_is_made_from_it():
    command = [sys.executable, "scripts/messages.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
