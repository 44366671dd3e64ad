"""Preference pairs from rankings."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from annotations import services
from annotations.models import Item, Project
from annotations.ranking_rows import Ranked, Vote, ranked_rows, tallies
from annotations.services.comparing import candidates
from annotations.services.raters import person_rater
from annotations.tuples import RlwhfTuple
from annotations.verdicts import ABSTENTION
from tests.annotations.conftest import tuple_of


def group(votes, *answers, **fields):
    """Votes such as {"ann": "A B=C"}: the best first, ties joined; a "!" says that all are bad."""
    read = []
    for rater, text in votes.items():
        order = [part.split("=") for part in text.removesuffix("!").split()]
        ranks = {answer: rank for rank, tied in enumerate(order, 1) for answer in tied}
        read.append(Vote(rater, ranks, text.endswith("!")))
    names = answers or sorted({answer for vote in read for answer in vote.ranks})
    return Ranked({name: RlwhfTuple(prompt="Q?", answer=name, **fields) for name in names}, read)


def pairs(*args, fields=None, **settings):
    rows = ranked_rows([group(*args, **(fields or {}))], **settings)
    return [(row["chosen"], row["rejected"], round(row["agreement"], 2)) for row in rows]


def test_the_answer_that_most_put_first_is_chosen():
    assert pairs({"a": "A B", "b": "A B", "c": "B A"}) == [("A", "B", 0.67)]
    assert pairs({"a": "B A"}) == [("B", "A", 1)]


def test_the_row_says_how_many_agreed_and_who_voted():
    row = next(ranked_rows([group({"a": "A B", "b": "A B", "c": "A=B"}, entity="x")]))
    assert (row["origin"], row["votes"], row["raters"], row["entity"]) == ("rankings", 3, ["a", "b", "c"], "x")
    assert row["agreement"] == pytest.approx(2 / 3) and row["chosen_reward"] is None


@pytest.mark.parametrize("votes", [{"a": "A=B"}, {"a": "A B", "b": "B A"}, {"a": "A B", "b": "A=B"}, {}])
def test_ties_and_even_votes_give_no_pair(votes):
    assert pairs(votes, "A", "B") == []


def test_votes_that_go_round_in_a_circle_give_none_of_its_pairs():
    around = {"a": "A B", "b": "B C", "c": "C A", "d": "A D", "e": "D E"}
    assert {pair[:2] for pair in pairs(around)} == {("A", "D"), ("D", "E")}


def test_each_rater_is_heard_on_what_they_saw():
    assert {pair[:2] for pair in pairs({"a": "A B", "b": "B C"})} == {("A", "B"), ("B", "C")}


def test_settings_ask_for_more_agreement_more_votes_or_fewer_pairs():
    votes = {"a": "A B", "b": "A B", "c": "B A"}
    assert pairs(votes, min_agreement=0.7) == []
    assert pairs(votes, min_agreement=2 / 3) == [("A", "B", 0.67)]
    assert pairs(votes, min_votes=4) == []
    ranked = {"a": "A B C D", "b": "A B C D", "c": "A B D C"}
    assert pairs(ranked, max_pairs=2) == [("A", "B", 1), ("A", "C", 1)]
    assert pairs(ranked, max_pairs=100)[-1] == ("C", "D", 0.67)


def test_answers_that_are_left_out_take_their_votes_with_them():
    assert pairs({"a": "A B C"}, "A", "C") == [("A", "C", 1)]


def test_where_all_are_bad_the_abstention_wins_over_each():
    assert pairs({"a": "A B!", "b": "A B!", "c": "A B"}) == [(ABSTENTION, "A", 0.67), (ABSTENTION, "B", 0.67)]
    assert pairs({"a": "A B!"}, fill=False) == []


def test_where_the_model_knows_the_gold_answer_wins_over_bad_ones():
    known = {"knowledge": "known", "gold_answer": "Right."}
    assert pairs({"a": "A=B!"}, fields=known) == [("Right.", "A", 1), ("Right.", "B", 1)]
    assert pairs({"a": "A=B!"}, fields={"knowledge": "known"}) == []


def test_a_bad_answer_is_never_chosen_but_may_lose():
    rows = pairs({"a": "A B!", "b": "C A", "c": "A B!"}, "A", "B", "C", fill=False)
    assert rows == [("C", "A", 1)]


def test_an_abstention_is_chosen_where_the_model_cannot_know_and_only_there():
    votes = {"a": "I-do-not-know A"}
    known, unknown = ({"knowledge": name} for name in ("known", "unknown"))
    texts = {"I-do-not-know": "I do not know."}

    def rows(fields, order):
        one = group({"a": order}, **fields)
        tuples = {
            texts.get(name, name): value.model_copy(update={"answer": texts.get(name, name)})
            for name, value in one.tuples.items()
        }
        read = [Vote(vote.rater, {texts.get(name, name): rank for name, rank in vote.ranks.items()}) for vote in one.votes]
        return [row["chosen"] for row in ranked_rows([Ranked(tuples, read)])]

    assert rows(unknown, votes["a"]) == ["I do not know."] and rows(known, votes["a"]) == []
    assert rows(unknown, "A I-do-not-know") == [] and rows(known, "A I-do-not-know") == ["A"]


def test_tallies_count_each_rater_once_per_pair():
    found = tallies(group({"a": "A B C", "b": "C=B A"}).votes)
    assert (found["A", "B"].first, found["A", "B"].second) == (["a"], ["b"])
    assert (found["B", "C"].first, found["B", "C"].tied) == (["a"], ["b"])


@pytest.mark.django_db
class TestBuild:
    @pytest.fixture
    def ranked(self, project, write, person):
        """Four prompts with three answers; two people prefer "Town", one "Village"; the last prompt waits."""
        services.project_update(project=project, actor=None, mode="compare", raters_per_item=3, candidates_shown=3)
        texts = ("Town.", "Village.", "Hut.")
        lines = [tuple_of(n, answer=text, metadata={"source_ai": text[0]}) for n in range(4) for text in texts]
        lines.append(tuple_of(0, answer="Town.", metadata={"source_ai": "again"}))
        services.item_import(project=project, path=write(lines), actor=None)
        heads = list(Item.objects.filter(is_open=True).order_by("pk")[:3])
        for name, first in (("ann", "Town."), ("bob", "Town."), ("cat", "Village.")):
            user = person(name)
            for item in heads:
                rank(item, user, first)
        return Project.objects.get()

    def test_a_project_that_compares_gives_pairs_by_its_rankings(self, ranked):
        version = build(ranked)
        rows = rows_of(version)
        assert len(rows) == 9
        towns = [row for row in rows if row["chosen"] == "Town." and row["rejected"] == "Village."]
        assert len(towns) == 3 and all(row["agreement"] == pytest.approx(2 / 3) for row in towns)
        assert towns[0]["raters"] == ["ann", "bob", "cat"]
        assert version.report["rankings"] == 9 and version.report["left_out"]["not ranked yet"] == 3

    def test_it_is_the_same_again(self, ranked):
        assert build(ranked, "one").content_hash == build(ranked, "two").content_hash

    def test_undone_rankings_and_flagged_comparisons_do_not_count(self, ranked, django_user_model):
        cat = django_user_model.objects.get(username="cat")
        services.score_undo(project=ranked, actor=cat)
        first = Item.objects.order_by("pk")[0]
        services.item_flag(item=first, actor=cat, reason="unclear")
        version = build(ranked)
        assert version.report["rankings"] == 5
        assert sum(version.counts.values()) == 6
        assert version.report["left_out"]["ranked in a comparison that is flagged"] == 3

    def test_a_deleted_answer_takes_its_pairs_with_it(self, ranked):
        Item.objects.filter(answer="Hut.").update(deleted_at="2026-01-01T00:00Z")
        assert {(row["chosen"], row["rejected"]) for row in rows_of(build(ranked))} == {("Town.", "Village.")}

    def test_agreement_is_a_setting(self, ranked):
        assert "Village." not in {row["rejected"] for row in rows_of(build(ranked, min_agreement=0.9))}

    def test_scores_can_be_asked_for_instead(self, ranked):
        with pytest.raises(services.DatasetRefused):
            build(ranked, pairs="scores")

    def test_rankings_can_be_asked_for_where_the_project_scores_by_now(self, ranked):
        services.project_update(project=ranked, actor=None, mode="score")
        assert len(rows_of(build(ranked, pairs="rankings"))) == 9


def rank(item, user, first):
    shown = candidates(item=item, rater=person_rater(user=user))
    order = {first: 1, "Town.": 2, "Village.": 2, "Hut.": 3} | {first: 1}
    services.ranking_submit(
        item=item, actor=user, submission=uuid4(), shown=[one.pk for one in shown], ranks=[order[one.answer] for one in shown]
    )


def build(project, name="one", **settings):
    wanted = {"split": {"eval_share": 0}} | settings
    return services.dataset_build(project=project, name=name, kind="preference", settings=wanted, actor=None)


def rows_of(version):
    return [json.loads(line) for line in (Path(version.folder) / "train.jsonl").read_text().splitlines()]
