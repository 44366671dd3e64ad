"""Revoked scores: left out of builds, consensus and quality, kept in the database, and back once the revocation is lifted."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import AuditEntry
from annotations import agreed_scores
from annotations.agreed_scores import AgreedScores
from annotations.models import Item, Ranking, Rater, Revocation, RubricVersion, Score
from annotations.quality_compute import quality_compute
from annotations.selectors.adjudication import disputed_items, voices
from annotations.selectors.gold_items import suggested_references
from annotations.selectors.rankings import project_ranking_agreement, ranking_documents
from annotations.selectors.scores import scores_seen, shown_rewards
from annotations.services import RevocationRefused, dataset_build, revocation_lift, revoke
from annotations.services.item_export import item_export
from annotations.services.raters import gold_rater, person_rater, teacher_rater
from annotations.services.scoring import score_submit
from annotations.statistics.ratings import Ratings
from tests.annotations.scored import items as some_items
from tests.annotations.scored import people, score, scored_project

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.RLWHF_HOME = tmp_path / "home"


def rewards(project, name, **settings) -> dict[str, float]:
    """What a build of today makes of each item, by its answer."""
    wanted = {"split": {"eval_share": 0}, "gate": {"force": True}, **settings}
    version = dataset_build(project=project, name=name, kind="tuples", settings=wanted, actor=None)
    lines = (Path(version.folder) / "train.jsonl").read_text().splitlines()
    rewards.report = version.report
    return {row["answer"]: row["reward"] for row in map(json.loads, lines)}


def test_builds_leave_a_revoked_rater_out_and_have_them_back_once_it_is_lifted(project) -> None:
    made = some_items(project, 3)
    ann, ben = people(2)
    strict = teacher_rater(name="strict@1")
    Score.objects.bulk_create(
        [
            score(made[0], ann, 2),
            score(made[0], ben, 0),
            score(made[1], ann, 2),
            score(made[1], strict, -1),
            score(made[2], ann, 1),
        ]
    )
    before = rewards(project, "before")
    assert before == {"Answer 0.": 1.0, "Answer 1.": 2.0, "Answer 2.": 1.0}
    assert "revoked" not in rewards.report
    revocation = revoke(target=ann, reason=" Guessed. ", actor=None)
    assert rewards(project, "without") == {"Answer 0.": 0.0, "Answer 1.": -1.0}
    assert rewards.report["revoked"] == {"scores": 3, "by": [revocation.pk]}
    assert rewards.report["left_out"] == {"its scores are revoked": 1}
    assert Score.objects.live().count() == 5
    revocation_lift(revocation=revocation, reason="It was somebody else.", actor=None)
    assert rewards(project, "after") == before
    actions = AuditEntry.objects.filter(action__in=["annotations.scores_revoked", "annotations.revocation_lifted"])
    assert [one.detail["reason"] for one in actions.order_by("pk")] == ["Guessed.", "It was somebody else."]


def test_a_revoked_gold_rater_and_a_revoked_rubric_version_count_for_nothing(project) -> None:
    made = some_items(project, 2)
    (ann,) = people(1)
    other = RubricVersion.objects.create(
        name="other", version=1, title="Other", content_hash="x" * 64, data=project.rubric_version.data
    )
    Score.objects.bulk_create([score(made[0], gold_rater(), 2), score(made[0], ann, -2), score(made[1], ann, 1)])
    Score.objects.filter(item=made[1]).update(rubric_version=other)
    assert rewards(project, "before") == {"Answer 0.": 2.0, "Answer 1.": 1.0}
    revoke(target=gold_rater(), reason="Wrong answers.", actor=None)
    revoke(target=other, reason="It said the opposite.", actor=None)
    assert rewards(project, "after") == {"Answer 0.": -2.0}


def test_pairs_by_rankings_leave_a_revoked_rater_out(project) -> None:
    one, other = some_items(project, 2)
    Item.objects.filter(pk=other.pk).update(prompt=one.prompt, prompt_text=one.prompt_text, prompt_hash=one.prompt_hash)
    ann, ben, cas = people(3)
    for who, ranks in ((ann, [1, 2]), (ben, [2, 1]), (cas, [2, 1])):
        Ranking.objects.create(
            item=one, rater=who, rubric_version_id=project.rubric_version_id, shown=[one.pk, other.pk], ranks=ranks,
            given_at=timezone.now(),
        )  # fmt: skip
    settings = {"split": {"eval_share": 0}, "gate": {"force": True}, "pairs": "rankings"}

    def chosen(name: str) -> str:
        made = dataset_build(project=project, name=name, kind="preference", settings=settings, actor=None)
        return str(json.loads((Path(made.folder) / "train.jsonl").read_bytes().splitlines()[0])["chosen"])

    assert chosen("before") == "Answer 1."
    for who in (ben, cas):
        revoke(target=who, reason="x", actor=None)
    assert chosen("after") == "Answer 0."


def test_the_consensus_of_an_item_and_quality_leave_them_out(project, person, client) -> None:
    _, who = scored_project(project, count=40, raters=people(4))
    whole = quality_compute(project=project).data
    revoke(target=who[3], reason="x", actor=None)
    without = quality_compute(project=project).data
    assert (len(whole["annotators"]), len(without["annotators"])) == (4, 3)
    assert without["scores"] == whole["scores"] - who[3].scores.count()
    (item,) = some_items(project, 1)
    Score.objects.bulk_create([score(item, who[0], 0), score(item, who[3], 2)])
    mo = person("mo", "member")
    seen = scores_seen(item=item, user=mo)
    assert (len(seen.others), seen.fused) == (2, 0.0)
    assert shown_rewards(items=[item], user=mo).medians == {item.pk: 0.0}
    client.force_login(mo, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(item.get_absolute_url()).content.decode().count(">revoked<") == 1


def test_dawid_and_skenes_model_is_fitted_without_them(project, monkeypatch) -> None:
    _, who = scored_project(project, count=10, raters=people(4))
    fitted: list[Ratings] = []
    monkeypatch.setattr(agreed_scores, "consensus", fitted.append)
    AgreedScores(project)
    revoke(target=who[3], reason="x", actor=None)
    AgreedScores(project)
    assert [sorted(set(one.rater.tolist())) for one in fitted] == [[one.pk for one in who], [one.pk for one in who[:3]]]


def test_a_revocation_says_why_stands_once_and_is_lifted_once(project) -> None:
    (ann,) = people(1)
    with pytest.raises(RevocationRefused, match="Say why"):
        revoke(target=ann, reason=" ", actor=None)
    made = revoke(target=ann, reason="x", actor=None)
    with pytest.raises(RevocationRefused, match="revoked already"):
        revoke(target=ann, reason="y", actor=None)
    with pytest.raises(RevocationRefused, match="Say why"):
        revocation_lift(revocation=made, reason="", actor=None)
    revocation_lift(revocation=made, reason="z", actor=None)
    with pytest.raises(RevocationRefused, match="lifted already"):
        revocation_lift(revocation=made, reason="z", actor=None)
    assert revoke(target=ann, reason="Again.", actor=None).is_in_force
    assert Revocation.objects.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Revocation.objects.create(kind="rater", rubric_version=project.rubric_version, reason="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        Revocation.objects.create(kind="rater", rater=Rater.objects.exclude(pk=ann.pk).first() or gold_rater(), reason="")


def test_disputes_exports_and_references_go_by_what_counts_and_mark_what_does_not(project) -> None:
    made = some_items(project, 2)
    ann, ben = people(2)
    for item in made:
        for rater, overall in ((ann, 2), (ben, -2)):
            Score.objects.bulk_create([score(item, rater, overall)])
    Item.objects.update(consensus=0, spread=4, people_scores=2)
    assert disputed_items(project=project).count() == 2
    revocation = revoke(target=ann, reason="Guessed.", actor=None)
    assert not disputed_items(project=project).exists()
    assert [(one.score.rater, one.is_revoked) for one in sorted(voices(item=made[0]), key=lambda one: one.score.pk)] == [
        (ann, True),
        (ben, False),
    ]
    rows = [json.loads(line) for line in b"".join(item_export(items=[made[0].pk], actor=None)).splitlines()]
    assert (rows[0]["consensus"], rows[0]["spread"], rows[0]["people_scores"]) == (-2, None, 2)
    assert {one["overall"]: one["revoked"] for one in rows[0]["scores"]} == {2: True, -2: False}
    assert {item: one.rater for item, one in suggested_references(items=made).items()} == dict.fromkeys(
        (one.pk for one in made), ben
    )
    revocation_lift(revocation=revocation, reason="Another ann.", actor=None)
    assert disputed_items(project=project).count() == 2
    assert Item.objects.get(pk=made[0].pk).consensus == 0


def test_who_is_revoked_may_score_on_and_items_say_what_the_others_say(project, person) -> None:
    (made,) = some_items(project, 1)
    ann, ben = person("ann"), person("ben")
    revoke(target=person_rater(user=ann), reason="Guessed.", actor=None)
    score_submit(item=made, actor=ann, submission=uuid4(), overall=2)
    assert Item.objects.get().consensus is None and Item.objects.get().people_scores == 1
    score_submit(item=made, actor=ben, submission=uuid4(), overall=-1)
    assert (Item.objects.get().consensus, Item.objects.get().spread) == (-1, None)


def test_rankings_that_are_revoked_are_marked_in_files_and_part_of_no_agreement(project) -> None:
    made = some_items(project, 2)
    Item.objects.update(prompt_hash="a" * 64)
    for rater, ranks in zip(people(2), ([1, 2], [2, 1]), strict=True):
        about = {"rater": rater, "rubric_version_id": project.rubric_version_id, "given_at": timezone.now()}
        Ranking.objects.create(item=made[0], shown=[one.pk for one in made], ranks=ranks, **about)
    assert project_ranking_agreement(project=project).rankings == 2
    revoke(target=Ranking.objects.first().rater, reason="Guessed.", actor=None)
    assert project_ranking_agreement(project=project).rankings == 1
    assert [one["revoked"] for one in ranking_documents(project=project)] == [True, False]
