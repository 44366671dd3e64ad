"""Serve models as a job, until nobody asks any more: `python -m evaluation.serving.job FOLDER`.

Reads `serve.json` in the folder, and the key that requests must carry from `RLWHF_SERVE_KEY`. Listens on this machine alone, at a
free port; `address.json` says where and what, from when it answers until it ends. Needs no Django and no database.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final

import uvicorn
from pydantic import BaseModel, Field

from evaluation.serving.app import make_app
from evaluation.serving.engine import Engine
from evaluation.serving.idle import Used
from evaluation.serving.listening import LOCAL, LOCAL_NAMES, address_of, listen, server_of
from evaluation.serving.places import ADDRESS, REQUEST
from evaluation.serving.service import KEY_VARIABLE, engine_of
from jobs.child import report_progress, report_result, write_json
from training.child_main import child_main
from training.exceptions import BadSpec, Stopped
from training.specs import HardwareSpec
from training.stopping import StopRequest

LOOK_EVERY_S: Final = 0.5
ENDING_S: Final = 10
"""What is being answered when it is to end may take so long to be finished."""


class ServeRequest(BaseModel):
    """What to serve: folders by name; on which hardware; and for how long without a request."""

    models: dict[str, str] = Field(min_length=1)
    hardware: HardwareSpec = Field(default_factory=HardwareSpec)
    idle_s: float = Field(300.0, gt=0)


def serve(folder: Path, stop: StopRequest) -> None:
    """Serve until idle. Raises Stopped where it was told to stop."""
    request = ServeRequest.model_validate_json((folder / REQUEST).read_text(encoding="utf-8"))
    address = folder / ADDRESS
    address.unlink(missing_ok=True)  # an earlier attempt's
    key = os.environ.pop(KEY_VARIABLE, "")
    if not key:
        raise BadSpec(f"There is no key in {KEY_VARIABLE}: anybody on this machine could ask.")
    bound = listen(LOCAL, 0)
    engines = _loaded(request, folder)
    used = Used(make_app(engines, key=key, hosts=LOCAL_NAMES))
    server = server_of(used, ending_s=ENDING_S)
    digests = {name: engine.digest for name, engine in engines.items()}
    stop.defer()
    watch = threading.Thread(target=_watch, args=(server, used, request, folder, stop), name="idle", daemon=True)
    watch.start()
    told = {"address": address_of(LOCAL, bound), "host": socket.gethostname(), "models": digests}
    write_json(address, told)
    try:
        server.run(sockets=[bound])
    finally:
        address.unlink(missing_ok=True)
        for engine in engines.values():
            engine.close(drop=True)
    if stop.asked:
        raise Stopped
    report_result({"answers": used.answers, "models": digests}, folder=folder)


def _loaded(request: ServeRequest, folder: Path) -> dict[str, Engine]:
    engines: dict[str, Engine] = {}
    for number, (name, path) in enumerate(request.models.items()):
        report_progress(done=number, total=len(request.models), note=f"loading {name}", folder=folder)
        engines[name] = engine_of(name, path, hardware=request.hardware)
    return engines


def _watch(server: uvicorn.Server, used: Used, request: ServeRequest, folder: Path, stop: StopRequest) -> None:
    """Tell how it stands, and end the server once it has been idle for long enough, or was told to stop before it listened."""
    told = -1
    while not server.should_exit:
        if used.answers != told:
            told = used.answers
            note = f"ready; ends after {request.idle_s:.0f} s without a question"
            report_progress(done=told, total=None, note=note, folder=folder)
        if stop.asked or used.idle_s >= request.idle_s:
            server.should_exit = True
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], serve, usage="python -m evaluation.serving.job FOLDER"))
