"""The ledger by page, API and shell: the same services behind each."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotations.models import Revocation
from annotations.services import revoke
from tests.evaluation.ledger.conftest import rater

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    output = io.StringIO()
    call_command("ledger", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_the_pages_lead_from_a_preview_to_a_revocation_a_rebuild_and_back(signed_in, project, history) -> None:
    client = signed_in("admin")
    listed = client.get(reverse("evaluation:ledger-list")).content.decode()
    assert "None: all live scores count." in listed and "strict@1" in listed and "Honesty" in listed
    ann = reverse("evaluation:ledger-rater", args=[rater("ann").pk])
    assert ann in listed
    shown = client.get(ann).content.decode()
    assert "champion of Towns" in shown and "towns-2" in shown and "100.0" in shown and "More honest." in shown
    assert client.get(reverse("annotations:provenance-rater", args=[rater("ann").pk])).content.decode().count(ann) == 1
    assert client.post(ann, {"reason": ""}).status_code == 422
    made = client.post(ann, {"reason": "Guessed."})
    revocation = Revocation.objects.get()
    assert made.url == revocation.get_absolute_url() == client.get(ann).url
    shown = client.get(made.url).content.decode()
    assert "Guessed." in shown and "Queue it" in shown
    client.post(reverse("evaluation:ledger-rebuild", args=[revocation.pk]), {"depth": "runs"})
    shown = client.get(made.url).content.decode()
    assert f"towns-2-r{revocation.pk}" in shown and f"second-r{revocation.pk}" in shown and "badge--queued" in shown
    client.post(reverse("evaluation:ledger-lift", args=[revocation.pk]), {"reason": ""})
    revocation.refresh_from_db()
    assert revocation.is_in_force
    client.post(reverse("evaluation:ledger-lift", args=[revocation.pk]), {"reason": "Another ann."})
    shown = client.get(made.url).content.decode()
    assert "Another ann." in shown and "Queue it" not in shown
    assert "lifted" in client.get(reverse("evaluation:ledger-list")).content.decode()


def test_a_rubric_version_has_its_page_and_members_look_and_change_nothing(signed_in, project, history) -> None:
    client = signed_in("member")
    rubric = reverse("evaluation:ledger-rubric", args=[project.rubric_version_id])
    shown = client.get(rubric)
    assert shown.status_code == 200 and "danger" not in shown.content.decode()
    assert rubric in client.get(reverse("annotations:provenance-rubric", args=[project.rubric_version_id])).content.decode()
    assert client.post(rubric, {"reason": "x"}).status_code == 403
    made = revoke(target=rater("ann"), reason="x", actor=None)
    shown = client.get(made.get_absolute_url()).content.decode()
    assert "Lift" not in shown and "Queue it" not in shown
    for name in ("ledger-lift", "ledger-rebuild"):
        assert client.post(reverse(f"evaluation:{name}", args=[made.pk]), {"reason": "x", "depth": "runs"}).status_code == 403
    assert signed_in("annotator").get(reverse("evaluation:ledger-list")).status_code == 403


def test_the_same_over_http(signed_in, project, history) -> None:
    client = signed_in("admin")

    def post(path: str, **body: str):
        return client.post(f"/api/ledger{path}", json.dumps(body), content_type="application/json")

    told = client.get("/api/ledger/preview", {"target": "teacher:kind@1"}).json()
    assert (told["counts"]["champions"], told["datasets"][0]["rows"]) == (1, 2)
    assert client.get("/api/ledger/preview", {"target": "kind@1"}).status_code == 404
    assert post("", target="teacher:kind@1", reason=" ").status_code == 422
    made = post("", target="teacher:kind@1", reason="Too kind.")
    assert (made.status_code, made.json()["in_force"], made.json()["revoked_by"]) == (201, True, "admin")
    assert post("", target="teacher:kind@1", reason="x").status_code == 409
    at = f"/{made.json()['id']}"
    rebuilt = post(f"{at}/rebuild", depth="datasets")
    assert (rebuilt.status_code, [one["state"] for one in rebuilt.json()["jobs"]]) == (201, ["queued"])
    assert post(f"{at}/rebuild").status_code == 409
    told = client.get(f"/api/ledger{at}").json()
    assert told["consequences"]["counts"]["models"] == 2 and len(told["rebuilds"]) == 1
    assert post(f"{at}/lift", reason="Kind enough.").json()["lift_reason"] == "Kind enough."
    assert post(f"{at}/lift", reason="x").status_code == 409
    assert [one["target"] for one in client.get("/api/ledger").json()["items"]] == ["teacher:kind@1"]
    client = signed_in("member")
    assert post("", target="person:ann", reason="x").status_code == 403


def test_the_same_at_the_shell(project, history) -> None:
    assert "person:ann" in said() and " 4 scores in 2 dataset versions" in said()
    shown = said("preview", "person:ann")
    assert "2 datasets, 2 runs, 2 models, 1 scorecard, 2 promotions, 1 champion\n" in shown
    assert "6 of 6 rows" in shown and "is champion of towns" in shown
    assert json.loads(said("preview", "person:ann", "--json"))["counts"]["runs"] == 2
    with pytest.raises(CommandError, match="Say why"):
        said("revoke", "person:ann")
    with pytest.raises(CommandError, match="a target is written as"):
        said("revoke", "ann", "--reason", "x")
    assert "count for nothing" in said("revoke", "person:ann", "--reason", "Guessed.")
    number = str(Revocation.objects.get().pk)
    rebuilt = said("rebuild", number, "--depth", "scorecards")
    assert f"second → second-r{number}" in rebuilt and "Queued: 4 jobs." in rebuilt
    assert "in force" in said("show", number) and said("show", "person:ann") == said("show", number) and "revoked" in said("list")
    with pytest.raises(CommandError, match="nothing revokes them"):
        said("lift", "teacher:kind@1", "--reason", "x")
    assert "count again" in said("lift", number, "--reason", "Another ann.")
    assert "lifted: Another ann." in said("show", number)
    with pytest.raises(CommandError, match="no revocation"):
        said("show", "999999")
