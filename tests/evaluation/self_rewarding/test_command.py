"""rlwhf pipeline: stages, switches, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from annotations.models import DatasetVersion
from evaluation.self_rewarding.sources import FetchFailed, convert, fetch
from jobs.models import Pipeline
from training.models import Artifact, Run

pytestmark = pytest.mark.django_db
ALPACA = [{"instruction": f"Name {number}.", "input": "", "output": f"It is {number}."} for number in range(30)]
PKU = [
    {"prompt": f"May I {number}?", "response_0": f"Yes, {number}.", "response_1": f"Never {number}.", "better_response_id": 1}
    for number in range(30)
]
ULTRA = [
    {"instruction": f"Who is {number}?", "completions": [
        {"model": name, "response": f"{name} says {number}", "annotations": {"honesty": {"Rating": rating}}}
        for name, rating in (("a", "5"), ("b", "2"))
    ]}
    for number in range(30)
]  # fmt: skip


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


@contextmanager
def serving_files(files: dict[str, bytes | tuple[str, int]]) -> Iterator[str]:
    """The address of a server of these files; a pair is another address and the status that leads there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = files.get(self.path)
            body = found if isinstance(found, bytes) else b""
            self.send_response(found[1] if isinstance(found, tuple) else 404 if found is None else 200)
            if isinstance(found, tuple):
                self.send_header("Location", found[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def pipeline(*arguments: str, **options: Any) -> str:
    said = StringIO()
    call_command("pipeline", *arguments, **options, stdout=said)
    return said.getvalue()


def test_each_switch_gives_the_rows_that_its_stage_trains_on(model, tmp_path):
    model("tiny")
    for flag, name, rows, kind, stage in (
        ("--sft-dataset", "alpaca", ALPACA, "sft", "sft"),
        ("--dpo-dataset", "pku", PKU, "preference", "dpo"),
        ("--grpo-dataset", "ultrafeedback", ULTRA, "scored", "grpo"),
    ):
        file = lines(tmp_path / f"{name}.jsonl", rows)
        said = pipeline("--stage", "convert", flag, name, "--from", str(file), "--num", "20")
        assert f"Dataset version {name}: " in said and kind in said
        assert DatasetVersion.objects.get(name=name).counts["train"] == (40 if kind == "scored" else 20)
        assert f"Run tiny-{stage} is queued" in pipeline("--stage", stage, flag, name, "--model-path", "tiny", "--max-steps", "3")
        run = Run.objects.get(name=f"tiny-{stage}")
        assert (run.dataset.name, run.base.name, run.spec["settings"]["max_steps"]) == (name, "tiny", 3)
    with pytest.raises(CommandError, match="convert it first"):
        pipeline("--stage", "dpo", "--dpo-dataset", "nothing", "--model-path", "tiny")
    with pytest.raises(CommandError, match="there are alpaca, sharegpt, openorca, self-instruct"):
        pipeline("--stage", "convert", "--sft-dataset", "pku", "--from", "x")


def test_a_folders_model_goes_through_stages_one_by_one(benchmark, prompts, tmp_path):
    from tests.training.model_folders import model_folder_at

    folder = model_folder_at(tmp_path / "Own model")
    common = ("--model-path", str(folder), "--prompts", str(prompts), "--benchmark", "atlas")
    said = pipeline("--stage", "prepare-dpo", *common, "--samples", "2", "--gspo-temperature", "0.5", "--method", "gspo")
    loop = Pipeline.objects.get(kind="self-rewarding")
    assert f"Loop {loop.pk}: 4 jobs are queued" in said and Artifact.objects.get(name="own-model")
    assert loop.payload["settings"]["overrides"] == {"settings.gspo_temperature": 0.5}
    assert f"{loop.pk} Self-rewarding: own-model" in pipeline()
    with pytest.raises(CommandError, match="This loop trains by gspo"):
        pipeline("--stage", "dpo", "--of", str(loop.pk))
    assert "is queued" in pipeline("--stage", "gspo", "--of", str(loop.pk))
    assert "is queued" in pipeline("--stage", "evaluate", "--of", str(loop.pk))
    assert "Self-rewarding: own-model: round 1 of 3" in pipeline("show", str(loop.pk))
    told = orjson.loads(pipeline("show", str(loop.pk), "--json"))
    assert told["next_stage"] == "decide" and told["settings"]["method"] == "gspo"
    assert "stopped" in pipeline("stop", str(loop.pk)) and loop.jobs.filter(state="stopped").count() == 6
    assert "goes on" in pipeline("resume", str(loop.pk)) and loop.jobs.filter(state="queued").count() == 7


def test_prompts_alone_are_a_dataset_too(prompts, tmp_path):
    said = pipeline("--stage", "convert", "--prompts-dataset", "prompts", "--from", str(prompts), "--name", "asked", "--num", "4")
    assert "Dataset version asked: 4 prompts rows" in said
    (tmp_path / "wrong.jsonl").write_text('{"prompt": "Who?"}\n{"question": "Who?"}\n')
    with pytest.raises(CommandError, match=r"wrong\.jsonl:2 has no prompt"):
        pipeline("--stage", "convert", "--prompts-dataset", "prompts", "--from", str(tmp_path / "wrong.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--stage", "train"), "--of N"),
        (("--stage", "all"), "--prompts"),
        (("--stage", "all", "--prompts", "x", "--model-path", "nobody"), "no model named"),
        (("--stage", "all", "--prompts", "x", "--model-path", "tiny", "--benchmark", "none"), "Name the benchmark"),
        (("--stage", "all", "--prompts", "x", "--model-path", "tiny", "--benchmark", "atlas", "--rounds", "0"), "rounds: "),
        (("--stage", "fetch"), "what to fetch"),
        (("show", "77"), "There is no loop 77"),
        (("stop",), "Say which loop"),
        (("stop", "1", "--stage", "all"), "not both"),
    ],
)
def test_what_is_missing_is_said(model, benchmark, arguments, why):
    model("tiny")
    with pytest.raises(CommandError, match=why):
        pipeline(*arguments)


def test_files_come_from_allowed_hosts_alone_and_whole(tmp_path, home):
    from accounts.hosts import host_allow

    content = b"".join(orjson.dumps(row) + b"\n" for row in ALPACA)
    with serving_files({"/alpaca.jsonl": content, "/moved": ("/alpaca.jsonl", 302)}) as url:
        with pytest.raises(FetchFailed, match="rlwhf hosts allow"):
            fetch(f"{url}/alpaca.jsonl")
        assert not (home / "fetched").exists()
        host_allow(host="127.0.0.1", is_private=True, actor=None)
        found = fetch(f"{url}/alpaca.jsonl")
        assert (found.path.read_bytes(), found.size) == (content, len(content))
        assert fetch(f"{url}/moved").sha256 == found.sha256
        with pytest.raises(FetchFailed, match="answers with 404"):
            fetch(f"{url}/nothing.jsonl")
    made = convert(paths=[found.path], name="asked", kind="prompts", actor=None)
    assert (made.kind, made.counts["train"]) == ("prompts", 30)
    with pytest.raises(FetchFailed, match=r"huggingface\.co"):
        fetch("hub:tatsu-lab/alpaca")
