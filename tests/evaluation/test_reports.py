"""Reports: one HTML file that asks nobody for anything, and a PDF; both say what the scorecard says, and no word is markup."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from accounts.models import User
from accounts.services import token_create
from evaluation.metrics import METRICS
from evaluation.models import Evaluation
from evaluation.reports.making import model_report, scorecard_report
from evaluation.services import evaluation_queue
from tests.evaluation.conftest import BASE_ROWS
from tests.evaluation.samples import atlas_rows

HONEST = atlas_rows(silent_unknown=0.97, right=0.99, seed=2)
HOSTILE = '<script>alert("a")</script> #panic("b") $x$ *c* \\ _d_ `e` https://example.org/'
Scored = Callable[..., Evaluation]


@pytest.fixture
def evaluation(scored: Scored) -> Evaluation:
    return scored("atlas-grpo", HONEST, scored("atlas-base", BASE_ROWS).artifact)


def words(pdf: bytes) -> str:
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    return re.sub(r"\s+", " ", " ".join(pages).replace("\u200b", ""))


def test_the_html_file_asks_nobody_and_says_what_the_scorecard_says(evaluation: Evaluation) -> None:
    made = scorecard_report(evaluation, format="html")
    said = made.content.decode()
    assert made.name == f"report-atlas-grpo-{evaluation.pk}.html"
    assert "More honest on held-out people, and still answers what it knows." in said
    assert all(metric.title in said for metric in METRICS.values())
    assert said.count('<svg role="img"') == said.count("The same as a table") >= 3
    assert "<script" not in said and "default-src 'none'" in said
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"|url\(([^)]*)\)', said)
    assert {one for pair in addresses for one in pair if one and not one.startswith("#")} == set()
    ids = re.findall(r'\bid="([^"]+)"', said)
    assert len(ids) == len(set(ids)), "pictures beside each other share no id"


def test_the_pdf_says_the_same_and_can_be_read_aloud(evaluation: Evaluation) -> None:
    made = scorecard_report(evaluation, format="pdf")
    reader = PdfReader(io.BytesIO(made.content))
    said = words(made.content)
    assert "More honest on held-out people, and still answers what it knows." in said
    assert "Truthful rate" in said and "Where these numbers come from" in said and "taught · B · hard" in said
    assert re.search(r"Its \d+ rows of numbers are in the HTML file", said), "a table that is left out is said to be"
    catalogue = reader.trailer["/Root"]
    assert catalogue["/Lang"] == "en" and catalogue["/MarkInfo"]["/Marked"].value is True  # type: ignore[index]
    assert reader.metadata is not None and reader.metadata.title == "atlas-grpo on atlas"


def test_no_word_is_taken_for_markup(evaluation: Evaluation) -> None:
    assert evaluation.scorecard is not None
    for sample in evaluation.scorecard["samples"]:
        sample["answer"] = HOSTILE
    evaluation.save()
    html = scorecard_report(evaluation, format="html").content.decode()
    assert "<script" not in html and "&lt;script&gt;alert(&quot;a&quot;)" in html
    assert HOSTILE.replace(" ", "") in words(scorecard_report(evaluation, format="pdf").content).replace(" ", "")


def test_a_report_on_a_model_has_its_newest_scorecard_of_each_benchmark(evaluation: Evaluation, scored: Scored) -> None:
    again = evaluation_queue(artifact=evaluation.artifact, benchmark=evaluation.benchmark, actor=None)
    again.scorecard = {**(evaluation.scorecard or {}), "environment": {"revision": "the newer one"}}
    again.save()
    said = model_report("atlas-grpo", format="html").content.decode()
    assert "How honest is atlas-grpo?" in said and "from one scorecard" in said and "the newer one" in said


def test_a_chart_that_knows_nothing_is_left_out(scored: Scored) -> None:
    silent = atlas_rows(silent_unknown=1.0, silent_known=1.0, seed=3)
    evaluation = scored("silent", silent)
    said = scorecard_report(evaluation, format="html").content.decode()
    assert "Share right by confidence" not in said and "Verdicts by slice" in said
    assert scorecard_report(evaluation, format="pdf").content.startswith(b"%PDF")


def test_members_download_it_and_nobody_else(evaluation: Evaluation, signed_in: Callable[[str], Client]) -> None:
    url = reverse("evaluation:scorecard-report", args=[evaluation.pk, "html"])
    answer = signed_in("member").get(url)
    assert answer["Content-Disposition"] == f'attachment; filename="report-atlas-grpo-{evaluation.pk}.html"'
    assert signed_in("member").get(reverse("evaluation:model-report", args=["atlas-grpo", "html"])).status_code == 200
    assert url in signed_in("member").get(evaluation.get_absolute_url()).content.decode()
    missing = (("scorecard-report", [evaluation.pk, "docx"]), ("scorecard-report", [0, "html"]), ("model-report", ["x", "pdf"]))
    for name, args in missing:
        assert signed_in("member").get(reverse(f"evaluation:{name}", args=args)).status_code == 404
    assert signed_in("annotator").get(url).status_code == 403


def test_over_http(evaluation: Evaluation, client: Client) -> None:
    user = User.objects.create_user("mia", role="member")
    _, token = token_create(user=user, name="t", actor=user)
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.get(f"/api/evaluations/{evaluation.pk}/report.pdf", headers=headers)
    assert answer.status_code == 200 and answer.content.startswith(b"%PDF") and answer["Content-Type"] == "application/pdf"
    assert client.get("/api/models/atlas-grpo/report.html", headers=headers).status_code == 200
    assert client.get("/api/models/nobody/report.html", headers=headers).status_code == 404


def test_in_the_shell(evaluation: Evaluation, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("report", "atlas-grpo", output=tmp_path, stdout=out)
    assert out.getvalue().strip() == str(tmp_path / "report-atlas-grpo.html")
    call_command("report", str(evaluation.pk), output=tmp_path / "a.pdf", stdout=out)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    for nothing in ("nobody", "0"):
        with pytest.raises(CommandError):
            call_command("report", nothing, output=tmp_path, stdout=out)
