"""Rankings where they are read: the API, the command, the page of an item, agreement."""

import json
from io import StringIO
from random import Random
from uuid import uuid4

import numpy as np
import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.services import token_create
from annotations import selectors, services
from annotations.models import Draft, Item, Project, Ranking, Turn
from annotations.services.comparing import candidates
from annotations.services.raters import person_rater
from annotations.statistics.agreement import krippendorff_alpha, percent_agreement
from annotations.statistics.rankings import ranking_agreement
from annotations.statistics.ratings import Ratings
from tests.annotations.conftest import tuple_of


@pytest.fixture
def compares(project, write):
    services.project_update(project=project, actor=None, mode="compare", raters_per_item=2)
    lines = [tuple_of(n, answer=text, metadata={"source_ai": f"model-{text}"}) for n in range(3) for text in ("Rome.", "Oslo.")]
    services.item_import(project=project, path=write(lines), actor=None)
    return Project.objects.get()


@pytest.fixture
def head(compares):
    return Item.objects.order_by("pk")[0]


def rank(item, user, first="Rome.", **more):
    shown = candidates(item=item, rater=person_rater(user=user))
    ranks = [1 if one.answer == first else 2 for one in shown]
    return services.ranking_submit(
        item=item, actor=user, submission=uuid4(), shown=[one.pk for one in shown], ranks=ranks, **more
    )


def get(user, name, *args):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.get(reverse(f"annotations:{name}", args=args))


@pytest.mark.django_db
class TestApi:
    @pytest.fixture
    def call(self):
        def ask(user, method, path, data=None):
            token = token_create(user=user, name=str(uuid4()), actor=user)[1]
            headers = {"Authorization": f"Bearer {token}"}
            more = {"content_type": "application/json"} if method == "post" else {}
            return getattr(Client(), method)(f"/api{path}", data, headers=headers, **more)

        return ask

    def test_a_comparison_is_handed_out_and_ranked(self, compares, person, call):
        ann = person("ann")
        given = call(ann, "get", "/projects/capitals/comparisons/next").json()
        assert {one["answer"] for one in given["answers"]} == {"Rome.", "Oslo."}
        assert "model-" not in json.dumps(given)
        shown = [one["id"] for one in given["answers"]]
        asked = {"submission": str(uuid4()), "shown": shown, "ranks": [2, 1], "critique": "Hm."}
        for _ in range(2):
            answer = call(ann, "post", f"/items/{given['item']}/rankings", asked)
            assert answer.status_code == 201 and answer.json()["ranks"] == [2, 1]
        assert Ranking.objects.count() == 1
        assert (
            call(ann, "post", f"/items/{given['item']}/rankings", {**asked, "submission": str(uuid4()), "ranks": []}).status_code
            == 422
        )
        assert call(ann, "post", "/projects/capitals/undo").json()["id"] == given["item"]

    def test_nothing_is_left_at_the_end_and_nothing_to_compare_elsewhere(self, compares, person, call):
        ann = person("ann")
        Item.objects.update(is_open=False)
        assert call(ann, "get", "/projects/capitals/comparisons/next").status_code == 204
        Project.objects.update(mode="score")
        assert call(ann, "get", "/projects/capitals/comparisons/next").status_code == 422

    def test_others_rankings_are_for_members_who_gave_theirs(self, head, person, call):
        ann, mo = person("ann"), person("mo", "member")
        rank(head, ann)
        other = Item.objects.get(prompt_hash=head.prompt_hash, answer="Oslo.")
        told = call(mo, "get", f"/items/{other.pk}/rankings").json()
        assert (told["head"], told["rankings"], told["hidden"]) == (head.pk, [], "blind")
        assert call(ann, "get", f"/items/{head.pk}/rankings").json()["hidden"] == ""
        rank(head, mo, "Oslo.")
        assert len(call(mo, "get", f"/items/{head.pk}/rankings").json()["rankings"]) == 2
        assert Turn.objects.get(rater__user=mo, item=head).state == Turn.State.REVEALED
        assert call(ann, "get", f"/items/{head.pk}/rankings").json()["hidden"] == "role"

    def test_agreement_is_for_members(self, head, person, call):
        for name, first in (("ann", "Rome."), ("bob", "Rome.")):
            rank(head, person(name), first)
        told = call(person("mo", "member"), "get", "/projects/capitals/rankings/agreement").json()
        assert told == {"rankings": 2, "raters": 2, "pairs": 1, "votes": 1, "share": 1.0, "alpha": None}

    def test_a_revised_answer_can_be_given(self, project, items, person, call):
        services.project_update(project=project, actor=None, mode="review")
        asked = {"submission": str(uuid4()), "overall": -1, "revised_answer": "Perhaps.",
                 "spans": [{"start": 0, "end": 4, "label": "claim"}]}  # fmt: skip
        assert call(person("ann"), "post", f"/items/{items[0].pk}/scores", asked).status_code == 201
        assert Item.objects.get(revises=items[0]).answer == "Perhaps."


@pytest.mark.django_db
class TestCommand:
    def run(self, *words):
        out = StringIO()
        call_command("rankings", *words, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_rankings_are_listed_exported_and_compared(self, head, person, tmp_path):
        rank(head, person("ann"), critique="Look.")
        assert "ann" in self.run("list", "--project", "capitals")
        assert "Nobody" in self.run("agreement", "--project", "capitals")
        rank(head, person("bob"), "Oslo.", all_bad=True)
        path = tmp_path / "rankings.jsonl"
        self.run("export", "--project", "capitals", "--out", str(path))
        one, other = (json.loads(line) for line in path.read_text().splitlines())
        assert one["prompt"] == head.prompt_text and one["critique"] == "Look." and other["all_bad"]
        assert {answer["answer"]: answer["rank"] for answer in other["answers"]} == {"Rome.": 2, "Oslo.": 1}
        assert "0.0% agree" in self.run("agreement", "--project", "capitals")

    def test_comparisons_are_opened_anew(self, compares):
        Item.objects.update(is_open=True)
        assert "3 comparisons" in self.run("open", "--project", "capitals")
        assert Item.objects.filter(is_open=True).count() == 3


@pytest.mark.django_db
class TestPages:
    def test_the_page_of_an_item_shows_its_rankings_to_whoever_may_see_them(self, head, person):
        ann, mo = person("ann"), person("mo", "member")
        rank(head, ann, critique="So it is.")
        assert "So it is." in get(ann, "item-detail", head.pk).content.decode()
        page = get(mo, "item-detail", head.pk).content.decode()
        assert "So it is." not in page and "I will not compare" in page
        services.item_reveal(item=head, actor=mo)
        assert "So it is." in get(mo, "item-detail", head.pk).content.decode()

    def test_the_quality_page_says_how_far_people_agree(self, head, person):
        mo = person("mo", "member")
        assert "can be told once" in get(mo, "project-quality", "capitals").content.decode()
        for name, first in (("ann", "Rome."), ("bob", "Oslo.")):
            rank(head, person(name), first)
        assert "agree on which of two answers is better" in get(mo, "project-quality", "capitals").content.decode()

    def test_other_answers_say_where_they_are_compared(self, head, person):
        other = Item.objects.filter(prompt_hash=head.prompt_hash).order_by("pk")[1]
        assert f"item {head.pk}</a>" in get(person("ann"), "item-detail", other.pk).content.decode()

    def test_ones_earlier_rankings_are_kept(self, head, person):
        ann = person("ann")
        rank(head, ann, "Rome.", critique="First.")
        rank(head, ann, "Oslo.", critique="Second.")
        page = get(ann, "item-detail", head.pk).content.decode()
        assert page.index("Second.") < page.index("Your earlier rankings") < page.index("First.")

    def test_the_page_of_an_item_links_its_rounds_both_ways(self, project, items, person):
        services.project_update(project=project, actor=None, mode="review", review_rounds=2)
        item, chain = items[0], [items[0]]
        for name in ("ann", "bob"):
            services.score_submit(
                item=item, actor=person(name), submission=uuid4(), overall=0, revised_answer=f"As {name} would say."
            )
            item = Item.objects.get(revises=item)
            chain.append(item)
        page = get(person("cat"), "item-detail", chain[1].pk).content.decode()
        assert all(f'href="{one.get_absolute_url()}"' in page for one in (chain[0], chain[2]))
        assert selectors.chain_of(item=items[1]) is None

    def test_without_scripts_an_order_is_taken_and_a_poor_one_is_refused_in_words(self, compares, person):
        ann = person("ann")
        client = Client()
        client.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
        page = client.get(reverse("annotations:score-project", args=["capitals"]))
        item, shown = page.context["item"], [one.pk for one in page.context["candidates"]]
        form = {"submission": str(uuid4()), "shown": ",".join(map(str, shown)), "shown_at": "1"}
        answer = client.post(reverse("annotations:compare-submit", args=[item.pk]), form, follow=True)
        assert "in order" in answer.content.decode() and not Ranking.objects.exists()
        client.post(reverse("annotations:score-draft", args=[item.pk]), {**form, f"rank_{shown[0]}": "2"})
        assert Draft.objects.get().data == {"critique": "", "seconds": 0.0, "shown": shown, "ranks": [2, 0], "all_bad": False}
        client.post(reverse("annotations:compare-submit", args=[item.pk]), {**form, "all_bad": "1", f"rank_{shown[0]}": "2"})
        ranking = Ranking.objects.get()
        assert (ranking.ranks, ranking.all_bad) == ([1, 1], True)

    @pytest.mark.parametrize("shown", ["", "x", "1", "1,2", "99999999999999999999,1", "1,1"])
    def test_what_is_no_comparison_is_refused(self, head, person, shown):
        client = Client()
        client.force_login(person("ann"), backend="django.contrib.auth.backends.ModelBackend")
        form = {"submission": str(uuid4()), "shown": shown, "rank_1": "1", "rank_2": "2"}
        address = reverse("annotations:compare-submit", args=[head.pk])
        answer = client.post(address, form, headers={"Accept": "application/json"})
        assert answer.status_code == 422 and answer.json()["error"]


class TestAgreement:
    def test_it_equals_krippendorffs_alpha_and_the_plain_share(self):
        draw = Random(4)
        orders = [(rater, {prompt * 3 + n: draw.choice((1, 1, 2, 3)) for n in draw.sample(range(3), draw.choice((2, 3)))})
                  for rater in range(6) for prompt in range(20)]  # fmt: skip
        found = ranking_agreement(orders)
        rows = []
        for rater, ranks in orders:
            for one in ranks:
                for other in ranks:
                    if one < other:
                        rows.append((one * 1000 + other, rater, np.sign(ranks[one] - ranks[other])))
        ratings = Ratings.of(*map(list, zip(*rows, strict=True)))
        assert found.alpha == pytest.approx(krippendorff_alpha(ratings, metric="nominal").value, abs=1e-9)
        assert found.share == pytest.approx(percent_agreement(ratings).value, abs=1e-9)
        assert found.raters == 6 and found.rankings == 120

    def test_what_cannot_be_told_is_none(self):
        assert ranking_agreement([]).share is None
        assert ranking_agreement([(1, {1: 1, 2: 2})]).share is None
        alike = ranking_agreement([(1, {1: 1, 2: 2}), (2, {1: 1, 2: 2})])
        assert (alike.share, alike.alpha) == (1.0, None)
