"""From whose scores stand in a dataset to the champion that came of them."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Endpoint
from annotations.models import DatasetVersion, Item, Rater, RubricVersion, Score, Teacher, TeacherVersion
from annotations.services import dataset_from_rows, revoke
from evaluation.ledger.selectors import consequences_of, document_of, key_of, revocation_of, sources, target_named
from evaluation.ledger.services import rebuild_queue
from evaluation.ledger.standing import revoked_under
from evaluation.promotion.services import champion_roll_back
from evaluation.self_rewarding.services import PIPELINE_KIND
from jobs.services import pipeline_create
from tests.evaluation.ledger.conftest import built, give, rater, trained
from training.models import Artifact, Run

pytestmark = pytest.mark.django_db
ROWS = {"train": [{"prompt": "What is a tree?", "chosen": "A plant.", "rejected": "A town."}]}


def test_a_preview_leads_from_a_rater_to_the_champion_and_changes_nothing(project, history) -> None:
    found = consequences_of(rater("ann"))
    assert found.counts == {"datasets": 2, "runs": 2, "models": 2, "scorecards": 1, "promotions": 2, "champions": 1}
    assert [(one.version.name, one.scores, one.rows, one.share) for one in found.datasets] == [
        ("towns-2", 12, 6, 1.0), ("towns-1", 12, 6, 1.0),
    ]  # fmt: skip
    assert [(one.run.name, one.dataset.version.name, one.through) for one in found.runs] == [
        ("second", "towns-2", ("first",)), ("first", "towns-2", ()),
    ]  # fmt: skip
    assert [(one.artifact.name, one.generation) for one in found.models] == [("second", 0), ("first", 0)]
    assert [one.artifact.name for one in found.promotions] == ["second", "first"]
    assert [one.artifact.name for one in found.champions] == ["second"]
    assert revocation_of(rater("ann")) is None
    champion_roll_back(project=project, reason="x", actor=None)
    assert [one.artifact.name for one in consequences_of(rater("ann")).champions] == ["first"]


def test_rows_are_counted_once_and_a_teachers_version_has_its_own(project, history) -> None:
    (kind, _) = (consequences_of(rater("kind@1")).datasets[0], None)
    assert (kind.scores, kind.rows, kind.of_rows, round(kind.share, 3)) == (4, 2, 6, 0.333)
    gold = consequences_of(rater("gold answers")).datasets[0]
    assert (gold.scores, gold.rows) == (2, 1)
    # All four raters scored under the one rubric version: a row is one row, whoever scored it.
    rubric = consequences_of(project.rubric_version).datasets[0]
    assert (rubric.scores, rubric.rows, rubric.share) == (12 + 12 + 4 + 2, 6, 1.0)


def test_descendants_and_datasets_made_of_rows_are_followed(project, history, model) -> None:
    grandchild = model("grandchild", history.second.artifact)
    stranger = model("stranger", Artifact.objects.get(name="base"))
    old = history.first.dataset
    rows = {"train": [{"prompt": "What is a tree?", "response": "A plant."}]}
    dataset_from_rows(name="cleaned", kind="sft", rows=rows, source="x", actor=None, parents=[old])
    found = consequences_of(rater("ann"))
    told = {one.artifact.name: (one.generation, one.through) for one in found.models}
    assert told[grandchild.name] == (1, ("second",))
    assert stranger.name not in told and "base" not in told
    (cleaned,) = [one for one in found.datasets if one.version.name == "cleaned"]
    assert (cleaned.through, cleaned.rows, cleaned.share) == (("towns-2",), None, None)


def test_what_a_teacher_judged_without_giving_scores_is_its_consequence_too(project, history, model, tmp_path) -> None:
    """As the reward of a run, and as the judge of a self-rewarding loop."""
    endpoint = Endpoint.objects.create(name="local", base_url="http://127.0.0.1:9/v1", model="judge")
    late = Rater.objects.create(kind=Rater.Kind.TEACHER, name="late@2")
    TeacherVersion.objects.create(
        teacher=Teacher.objects.create(name="late"),
        number=2,
        endpoint=endpoint,
        model="judge",
        prompt={},
        prompt_hash="0",
        rater=late,
    )
    assert consequences_of(late).is_empty
    other = dataset_from_rows(name="plain", kind="preference", rows=ROWS, source="x", actor=None)
    run = trained("rewarded", other, Artifact.objects.get(name="base"), tmp_path)
    part = {"kind": "teacher", "teacher": "late", "weight": 1.0}
    Run.objects.filter(pk=run.pk).update(spec={**run.spec, "reward": {"parts": [part | {"version": 1}]}})
    assert consequences_of(late).is_empty  # of another version
    Run.objects.filter(pk=run.pk).update(spec={**run.spec, "reward": {"parts": [{"kind": "length"}, part | {"version": 2}]}})
    looped = dataset_from_rows(name="round-1", kind="preference", rows=ROWS, source="x", actor=None)
    pipeline = pipeline_create(name="Self-rewarding: base", kind=PIPELINE_KIND, payload={}, actor=None)
    pipeline.payload = {"settings": {"judge": "teacher:late@2"}, "rounds": [{"dataset": looped.name}]}
    pipeline.save()
    child = trained("looped", looped, run.artifact, tmp_path)
    found = consequences_of(late)
    assert [(one.version.name, one.judged_in, one.rows) for one in found.datasets] == [("round-1", "Self-rewarding: base", None)]
    assert [(one.run.name, one.is_rewarded, one.through) for one in found.runs] == [
        ("looped", False, ("rewarded",)), ("rewarded", True, ()),
    ]  # fmt: skip
    assert {one.artifact.name: one.through for one in found.models} == {"rewarded": ("its verdicts",), "looped": ("round-1",)}
    assert not revoked_under([child.artifact_id])
    give(Item.objects.first(), late, 2.0)
    built(project, "towns-3", "preference")
    made = revoke(target=late, reason="wrong", actor=None)
    assert revoked_under([run.artifact_id, child.artifact_id, history.first.artifact_id]) == {
        run.artifact_id: [made], child.artifact_id: [made],
    }  # fmt: skip
    left = rebuild_queue(revocation=made, actor=None, depth="runs").payload["left"]
    assert {(one["name"], one["why"]) for one in left} >= {("rewarded", "its reward asks this teacher")}


def test_of_scores_that_stand_in_no_dataset_nothing_came(project, history) -> None:
    built(project, "only-prompts", "prompts")
    assert "only-prompts" not in [one.version.name for one in consequences_of(rater("ann")).datasets]
    from annotations.services.raters import teacher_rater

    found = consequences_of(teacher_rater(name="new@1"))
    assert found.is_empty and not any(found.counts.values())


def test_what_is_built_after_a_revocation_is_not_among_its_consequences(project, history) -> None:
    revoke(target=rater("ann"), reason="x", actor=None)
    built(project, "later", "preference")
    assert [one.version.name for one in consequences_of(rater("ann")).datasets] == ["towns-2", "towns-1"]
    assert "later" in [one.version.name for one in consequences_of(rater("strict@1")).datasets]


def test_a_target_is_found_by_what_it_is_called(project, history) -> None:
    for one in (rater("ann"), rater("strict@1"), rater("gold answers"), project.rubric_version):
        assert target_named(key_of(one)) == one
    assert key_of(rater("strict@1")) == "teacher:strict@1"
    assert key_of(project.rubric_version) == "rubric:honesty-1"
    assert target_named(f"rubric:{project.rubric_version.content_hash[:12]}") == project.rubric_version
    for wrong in ("ann", "person:nobody", "rubric:", "rubric:x-1", "teacher:ann"):
        assert target_named(wrong) is None


def test_sources_are_listed_with_what_stands_of_theirs_and_found_by_name(project, history) -> None:
    revoke(target=rater("kind@1"), reason="x", actor=None)
    told = {one.key: (one.versions, one.scores, one.revocation is not None) for one in sources()}
    assert told["person:ann"] == (2, 24, False)
    assert told["teacher:kind@1"] == (2, 8, True)
    assert told["rubric:honesty-1"] == (2, 60, False)
    assert [one.key for one in sources(words="STRI")] == ["teacher:strict@1"]


def test_consequences_as_plain_values(project, history) -> None:
    told = document_of(consequences_of(rater("kind@1")))
    assert told["datasets"][0] == {
        "name": "towns-2", "project": "towns", "scores": 4, "rankings": 0, "rows": 2, "of_rows": 6, "share": 2 / 6, "through": [],
        "judged_in": "",
    }  # fmt: skip
    assert told["promotions"][0]["champion"] is True
    assert told["scorecards"][0]["model"] == "second"


@pytest.fixture
def mixed(project) -> DatasetVersion:
    """Ann's scores stand under two rubric versions, half of them each, and each rubric version has scores of several raters."""
    other = RubricVersion.objects.create(
        name="other", version=1, title="Other", content_hash="x" * 64, data=project.rubric_version.data
    )
    Score.objects.filter(rater=rater("kind@1")).update(rubric_version=other)
    half = Score.objects.filter(rater=rater("ann")).order_by("pk")[:6]
    Score.objects.filter(pk__in=[one.pk for one in half]).update(rubric_version=other)
    return built(project, "towns-1")


def test_rows_are_told_by_the_build_and_each_is_counted_once(project, mixed) -> None:
    """Contributions added up are too many, and the largest is too few."""

    def asked(target) -> int | None:
        with CaptureQueriesContext(connection) as queries:
            (found,) = consequences_of(target).datasets
        assert not any("datasetuse" in one["sql"] for one in queries), "no score is looked at"
        return found.rows

    for name in ("ann", "kind@1"):
        assert asked(rater(name)) == _rows_by_hand(mixed, rater=rater(name))
    for one in RubricVersion.objects.filter(contributions__version=mixed).distinct():
        assert asked(one) == _rows_by_hand(mixed, rubric_version=one)
        assert asked(one) < sum(each.rows for each in mixed.contributors.filter(rubric_version=one))
    assert asked(rater("ann")) == 12 > max(each.rows for each in mixed.contributors.filter(rater=rater("ann")))


def test_shares_of_versions_from_before_are_counted_by_the_migration(mixed) -> None:
    """Never as fewer than contributions say, which knew of what was purged since."""

    def counted_anew() -> dict[tuple[int | None, int | None], int]:
        mixed.shares.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(import_module("annotations.migrations.0024_dataset_shares").SHARES)
        return shares()

    def shares() -> dict[tuple[int | None, int | None], int]:
        return {(one.rater_id, one.rubric_version_id): one.rows for one in mixed.shares.all()}

    told = shares()
    assert counted_anew() == told and len(told) > 3
    mixed.uses.all().delete()
    largest = {}
    for one in mixed.contributors.all():
        for key in ((one.rater_id, None), (None, one.rubric_version_id)):
            largest[key] = max(one.rows, largest.get(key, 0))
    assert counted_anew() == largest != told


def _rows_by_hand(version: DatasetVersion, **about: object) -> int:
    mine = set(Score.objects.filter(**about).values_list("pk", flat=True))
    return len({(use.split, use.row) for use in version.uses.all() if mine & set(use.scores)})
