"""Benchmarks by page, API and shell: the same services behind each."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotations.services import project_create
from evaluation.benchmarks.making import benchmark_import
from evaluation.benchmarks.selectors import PAGE_SIZE, question_page
from evaluation.models import Benchmark
from tests.evaluation.benchmarks import published

pytestmark = pytest.mark.django_db

SignedIn = Callable[[str], Client]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: object) -> Path:
    settings.RLWHF_HOME = tmp_path / "home"  # type: ignore[attr-defined]
    return tmp_path / "home"


@pytest.fixture
def content() -> bytes:
    rows = [published.SIMPLEQA | {"problem": f"Who painted door {number}?"} for number in range(PAGE_SIZE + 3)]
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


@pytest.fixture
def benchmark(tmp_path: Path, content: bytes) -> Benchmark:
    path = tmp_path / "simpleqa.jsonl"
    path.write_bytes(content)
    return benchmark_import(path=path, actor=None).benchmark


def said(*arguments: str) -> str:
    output = io.StringIO()
    call_command("benchmarks", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_the_page_adds_a_file_and_leads_to_it(signed_in: SignedIn, content: bytes) -> None:
    client, address = signed_in("admin"), reverse("evaluation:benchmark-create")
    assert b"SimpleQA" in client.get(address).content
    sent = {
        "way": "file",
        "file-file": SimpleUploadedFile("qa.jsonl", content),
        "file-source_format": "auto",
        "file-name": "Doors",
    }
    page = client.post(address, sent, follow=True)
    benchmark = Benchmark.objects.get()
    assert page.redirect_chain == [(benchmark.get_absolute_url(), 302)]
    assert (benchmark.name, benchmark.n) == ("doors", PAGE_SIZE + 3)
    text = page.content.decode()
    assert "Who painted door 0?" in text and "Wei et al. 2024" in text and "qa.jsonl" in text and "precision" in text
    again = client.post(address, sent | {"file-file": SimpleUploadedFile("qa.jsonl", content)}, follow=True)
    assert "known already" in again.content.decode()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"way": "file", "file-source_format": "auto"}, "Choose a file."),
        ({"way": "file", "file-source_format": "coconot", "file-file": b"{}\n"}, "has no question for CoCoNot"),
        ({"way": "project", "project-min_scores": "1", "project-project": "1"}, "is scored by 1 people"),
        ({"way": "atlas", "atlas-seed": "-1"}, "greater than or equal to 0"),
    ],
)
def test_the_page_says_at_its_field_what_is_wrong(signed_in: SignedIn, sent: dict[str, object], told: str) -> None:
    project = project_create(name="P", guidelines="", actor=None)
    sent = sent | ({"project-project": project.pk} if "project-project" in sent else {})
    sent = {name: SimpleUploadedFile("x.jsonl", one) if isinstance(one, bytes) else one for name, one in sent.items()}
    page = signed_in("admin").post(reverse("evaluation:benchmark-create"), sent)
    assert page.status_code == 422 and told in page.content.decode()
    assert not Benchmark.objects.exists()


def test_the_list_says_how_to_begin_and_then_what_there_is(signed_in: SignedIn, tmp_path: Path, content: bytes) -> None:
    client = signed_in("admin")
    assert b"No benchmark yet" in client.get(reverse("evaluation:benchmark-list")).content
    (tmp_path / "x.jsonl").write_bytes(content)
    benchmark = benchmark_import(path=tmp_path / "x.jsonl", actor=None).benchmark
    assert benchmark.hash[:12] in client.get(reverse("evaluation:benchmark-list")).content.decode()


def test_questions_come_in_pages_and_can_be_looked_for(signed_in: SignedIn, benchmark: Benchmark) -> None:
    assert [one.id for one in question_page(benchmark, number=2).shown] == ["21", "22", "23"]
    found = question_page(benchmark, text="DOOR 22")
    assert (found.total, found.shown[0].right) == (1, ["Ada Berg"])
    assert question_page(benchmark, number=99).number == 2 and question_page(benchmark, text="nothing").shown == []
    client = signed_in("member")
    page = client.get(benchmark.get_absolute_url(), {"q": "door 22"}).content.decode()
    assert "Who painted door 22?" in page and "Who painted door 21?" not in page
    assert client.get(benchmark.get_absolute_url(), {"page": "x"}).status_code == 200


def test_the_questions_can_be_had_as_the_hash_has_them(signed_in: SignedIn, benchmark: Benchmark) -> None:
    from hashlib import sha256

    answer = signed_in("member").get(reverse("evaluation:benchmark-questions", args=[benchmark.pk]))
    assert sha256(b"".join(answer.streaming_content)).hexdigest() == benchmark.hash  # type: ignore[attr-defined]


def test_a_folder_that_is_gone_is_said(signed_in: SignedIn, benchmark: Benchmark) -> None:
    Benchmark.objects.update(folder="/nowhere")
    client = signed_in("member")
    assert b"no longer in /nowhere" in client.get(benchmark.get_absolute_url()).content
    assert client.get(reverse("evaluation:benchmark-questions", args=[benchmark.pk])).status_code == 404


@pytest.mark.parametrize("role", ["member", "annotator"])
def test_adding_is_for_admins(signed_in: SignedIn, role: str) -> None:
    assert signed_in(role).get(reverse("evaluation:benchmark-create")).status_code == 403


def test_the_api_adds_and_tells(signed_in: SignedIn, content: bytes) -> None:
    client = signed_in("admin")
    formats = client.get("/api/benchmarks/formats").json()
    assert {"truthfulqa", "selfaware", "simpleqa", "halueval", "coconot"} <= {one["name"] for one in formats}
    upload = {"file": SimpleUploadedFile("qa.jsonl", content), "name": "Doors"}
    made = client.post("/api/benchmarks/import", upload)
    assert made.status_code == 201 and made.json()["benchmark"]["n"] == PAGE_SIZE + 3
    address = f"/api/benchmarks/{made.json()['benchmark']['hash']}"
    assert client.get(address).json()["facts"]["judges"] == {"gold": PAGE_SIZE + 3}
    found = client.get(f"{address}/questions?q=door 22").json()
    assert found["total"] == 1 and found["questions"][0]["gold_answer"] == "Ada Berg"
    refused = client.post("/api/benchmarks/import", {"file": SimpleUploadedFile("x.jsonl", b"{}\n")})
    assert refused.status_code == 422 and "no format is recognised" in refused.json()["detail"]
    atlas = client.post("/api/benchmarks/atlas", {"seed": 3}, content_type="application/json")
    assert atlas.status_code == 201 and atlas.json()["benchmark"]["facts"]["known"] > 0
    english, portuguese = client.get("/api/benchmarks/judges").json()["recognised"]
    assert english["n"] == 180 and english["stances"][0]["precision"]["value"] == pytest.approx(66 / 67)
    assert (portuguese["language"], portuguese["n"], portuguese["stances"][0]["recall"]["value"]) == (
        "Portuguese", 112, pytest.approx(51 / 54),
    )  # fmt: skip
    project = project_create(name="P", guidelines="", actor=None)
    wanted = {"project": project.slug}
    empty = client.post("/api/benchmarks/project", wanted, content_type="application/json")
    assert empty.status_code == 422


def test_the_shell_adds_and_tells(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "qa.jsonl").write_bytes(content + b'{"colour": "red"}\n')
    told = said("import", str(tmp_path / "qa.jsonl"), "--name", "Doors", "--set-version", "2026")
    assert "doors 2026" in told and "left out: 1 × problem: is missing" in told
    shown = said("show", "doors")
    assert "23 by gold answers" in shown and "topic: Art 23" in shown and "Wei et al. 2024" in shown
    assert "is known now" in said("atlas", "--seed", "4")
    assert "was known already" in said("atlas", "--seed", "4")
    assert "truthfulqa-choice" in said("formats")
    assert "abstains     precision 0.985 [0.920, 0.997] (66 of 67), recall 0.943" in said("judges")
    for wrong in (["show", "nothing"], ["project", "nothing"], ["import", "/nowhere"]):
        with pytest.raises(CommandError):
            said(*wrong)
