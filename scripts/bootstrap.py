"""Find a Python that RLWHF runs on and hand over to it: `python3 scripts/bootstrap.py run`.

Written for any Python that can still be met (2.7 included), so that the wrong one says a sentence and not a SyntaxError.
What happens next is in `scripts/environment.py`.
"""

import os
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
NAMES = ["python3.13", "python3.12", "python3.11", "python3", "python"]
if os.name == "nt":
    NAMES = ["py -3.13", "py -3.12", "py -3.11", "python"]
HERE = os.path.dirname(os.path.abspath(__file__))
PROBE = "import sys; print(sys.executable if {0} <= sys.version_info[:2] <= {1} else '')".format(OLDEST, NEWEST)


def suitable():
    """The path of a Python between 3.11 and 3.13: the one running this where it will do, else one found on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for name in NAMES:
        # Asked by running it: version managers put stand-ins on the PATH that exist and do nothing but fail.
        try:
            asked = subprocess.Popen(name.split() + ["-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            found = asked.communicate()[0].decode("utf-8", "replace").strip()
        except OSError:
            continue
        if asked.returncode == 0 and found:
            return found
    return None


def main():
    """Run `scripts/environment.py` with the right Python; its exit status is ours."""
    python = suitable()
    if python is None:
        sys.stderr.write(
            "RLWHF needs Python 3.11, 3.12 or 3.13; this is Python {0}.{1} and no other is on the PATH: install one from "
            "https://www.python.org/downloads/ or with your system's package manager, then run the same command again.\n".format(
                sys.version_info[0], sys.version_info[1]
            )
        )
        return 1
    command = [python, os.path.join(HERE, "environment.py")] + sys.argv[1:]
    if os.name == "nt":  # there, exec would return to the prompt at once and leave the program in the background
        return subprocess.call(command)
    sys.stdout.flush()
    os.execv(python, command)


if __name__ == "__main__":
    sys.exit(main())
