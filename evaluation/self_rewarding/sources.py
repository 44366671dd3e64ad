"""Datasets that others made, for prompts and training: fetched from allowed hosts, and converted to dataset versions.

For commands and children: it makes calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from django.conf import settings as site

from accounts.hosts import HostRefused, place_allowed
from accounts.models import User
from accounts.outgoing import outgoing_client
from annotations.models import DatasetVersion
from annotations.pipeline.run import PipelineSettings
from annotations.services import dataset_from_rows, file_dataset_build
from annotations.sources.containers.hub import HubDataset, hub_address
from annotations.sources.containers.opening import open_container
from annotations.sources.errors import SourceError
from annotations.sources.records import Record

GIB = 2**30
MOST_BYTES = 20 * GIB
TIMEOUT_S = 60.0
HUB = "hub:"


class FetchFailed(ValueError):  # noqa: N818 - reads as what happened
    """Nothing was fetched; the message says why and what to do."""


@dataclass(frozen=True)
class Switch:
    """A dataset that a stage may be switched to: its format, what rows are made of it, and where it is known to lie on a hub."""

    source_format: str
    kind: str
    hub: str = ""


SFT_DATASETS = {
    "alpaca": Switch("alpaca", "sft", "tatsu-lab/alpaca"),
    "sharegpt": Switch("sharegpt", "sft"),
    "openorca": Switch("openorca", "sft", "Open-Orca/OpenOrca"),
    "self-instruct": Switch("self-instruct", "sft"),
}
DPO_DATASETS = {"pku": Switch("pku-saferlhf", "preference", "PKU-Alignment/PKU-SafeRLHF")}
GRPO_DATASETS = {"ultrafeedback": Switch("ultrafeedback", "scored", "openbmb/UltraFeedback")}
SELF_REWARD = "self-reward"
PLAIN_PROMPTS = "prompts"
PROMPT_FIELDS = ("prompt", "gold_answer", "knowledge", "entity", "item_id")


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched, whole; `records` where they were counted."""

    path: Path
    size: int
    sha256: str
    records: int | None = None


def fetch(wanted: str, *, into: Path | None = None, most: int | None = None, split: str = "") -> Fetched:
    """Fetch a file by its address, or a dataset by `hub:OWNER/NAME` as JSON lines, its first `most` records.

    Only from hosts that an admin allows. Raises FetchFailed; what is half there is not left.
    """
    folder = Path(site.RLWHF_HOME) / "fetched"
    try:
        if wanted.startswith(HUB):
            return _from_hub(wanted.removeprefix(HUB), into or folder, most=most, split=split)
        if most is not None:
            raise FetchFailed("A file is fetched whole; its first records alone are taken when it is converted.")
        return _from_address(wanted, into or folder)
    except HostRefused as refused:
        raise FetchFailed(str(refused)) from refused
    except (SourceError, httpx.HTTPError, OSError) as error:
        raise FetchFailed(f"{wanted} could not be fetched: {str(error) or type(error).__name__}") from error


def _from_address(url: str, folder: Path) -> Fetched:
    name = Path(urlsplit(url).path).name
    if not name:
        raise FetchFailed(f"“{url}” names no file.")
    with outgoing_client(base_url="", headers={}, timeout_s=TIMEOUT_S) as client:
        place_allowed(url)  # before anything is made on disk
        # Each stop on the way is held against the allowed hosts, too: see AllowedOnly.
        with client.stream("GET", url, follow_redirects=True) as answer:
            if answer.status_code != httpx.codes.OK:
                raise FetchFailed(f"{url} answers with {answer.status_code}.")
            return _written(folder / name, answer.iter_bytes())


def _from_hub(name: str, folder: Path, *, most: int | None, split: str) -> Fetched:
    place_allowed(hub_address())
    counted = [0]

    def lines() -> Iterator[bytes]:
        for one in islice((one for one in HubDataset(name, split=split).records() if isinstance(one, Record)), most):
            counted[0] += 1
            yield orjson.dumps(one.value) + b"\n"

    found = _written(folder / f"{name.replace('/', '--')}.jsonl", lines())
    return Fetched(found.path, found.size, found.sha256, counted[0])


def _written(path: Path, parts: Iterator[bytes]) -> Fetched:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, digest, size = path.with_name(f".{path.name}.part"), hashlib.sha256(), 0
    try:
        with aside.open("wb") as file:
            for part in parts:
                size += len(part)
                if size > MOST_BYTES:
                    raise FetchFailed(f"{path.name} has more than {MOST_BYTES // GIB} GiB.")
                digest.update(part)
                file.write(part)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return Fetched(path.resolve(), size, digest.hexdigest())


def convert(
    *,
    paths: Sequence[Path],
    name: str,
    kind: str,
    source_format: str = "auto",
    most: int | None = None,
    actor: User | None,
) -> DatasetVersion:
    """Make a dataset version of files of any format that is read, of their first `most` records. The format `prompts` is one
    without answers: `{prompt, gold_answer}`.

    Raises DatasetRefused, SourceError and OSError.
    """
    if source_format == PLAIN_PROMPTS:
        rows = [row for path in paths for row in _prompt_rows(path, most)]
        source = ", ".join(path.name for path in paths)[:200]
        return dataset_from_rows(name=name, kind="prompts", rows={"train": rows}, source=source, actor=actor)
    # Nothing is held out: rounds and runs are measured on benchmarks.
    settings = {
        "kind": kind,
        "source_format": source_format,
        "build": {"split": {"eval_share": 0.0}},
    }
    if most is not None:
        paths = [_first(path, most) for path in paths]
    return file_dataset_build(name=name, paths=paths, settings=PipelineSettings.model_validate(settings), actor=actor)


def _prompt_rows(path: Path, most: int | None) -> Iterator[dict[str, Any]]:
    """Raises SourceError at the first record without a prompt."""
    for one in islice(open_container(path).records(), most):
        value = one.value if isinstance(one, Record) else None
        if not isinstance(value, Mapping) or not value.get("prompt"):
            raise SourceError(f"{path.name}:{one.place} has no prompt: each record is {{prompt, gold_answer}}.")
        yield {name: value[name] for name in PROMPT_FIELDS if value.get(name) is not None}


def _first(path: Path, most: int) -> Path:
    """The first records of a file as JSON lines, beside what was fetched."""
    records = islice((one for one in open_container(path).records() if isinstance(one, Record)), most)
    cut = Path(site.RLWHF_HOME) / "fetched" / f"{path.stem}-first-{most}.jsonl"
    return _written(cut, (orjson.dumps(one.value) + b"\n" for one in records)).path
