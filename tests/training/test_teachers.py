"""A teacher of this site as a run's reward: which version, who may, what the child process is told, and where the key is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from accounts.models import AllowedHost
from annotations.models import Rater, Teacher
from annotations.services import dataset_from_rows, project_create, revoke
from annotations.services.teachers import teacher_save, teacher_switch
from jobs.kinds import CannotStart
from tests.training.model_folders import model_folder_at
from training.jobs import TrainingRun, place_spec
from training.launching import run_clone
from training.services import RunRefused, artifact_register, elsewhere_check, run_queue
from training.setting_fields import groups_of
from training.specs import read_spec
from training.teachers import teachers_placed

pytestmark = pytest.mark.django_db
KEY = "sk-of-the-endpoint"
TEACHER = {"reward": {"parts": [{"kind": "teacher", "teacher": "judge"}, {"kind": "length", "maximum": 40}]}}


@pytest.fixture
def endpoint(home):
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    return endpoint_save(name="local", base_url="http://127.0.0.1:9/v1", model="judge-7b", key=KEY, actor=None, is_new=True)


@pytest.fixture
def wanted(home, endpoint):
    """How a run is asked for whose reward is the newest single-score version of “judge”, its second of three."""
    teacher_save(name="judge", endpoint=endpoint, actor=None, prompt="honesty-single-1")
    teacher_save(name="judge", endpoint=endpoint, actor=None, prompt="score-0-5-1", max_calls=50, temperature=0.5)
    teacher_save(name="judge", endpoint=endpoint, actor=None, prompt="honesty-pairwise-1", max_calls=50)
    Teacher.objects.update(max_cost=Decimal(2))  # the endpoint has lost its prices since
    rows = {"train": [{"prompt": f"{n} + 1 =", "gold_answer": str(n + 1)} for n in range(64)]}
    prompts = dataset_from_rows(name="asked", kind="prompts", rows=rows, source="test", actor=None)
    base = artifact_register(name="tiny", folder=model_folder_at(home / "tiny"), actor=None)
    return {"recipe": "grpo-cpu", "dataset": prompts, "base": base, "overrides": TEACHER}


def with_part(**more):
    return {"reward": {"parts": [{"kind": "teacher", "teacher": "judge", **more}]}}


def test_the_newest_single_score_version_is_noted_and_the_child_is_told_how_it_is_asked(wanted, home):
    run = run_queue(name="taught", actor=None, **wanted)
    noted = run.spec["reward"]["parts"][0]
    assert (noted["version"], noted["asks"]) == (2, None), "the third compares pairs; nothing of the service is in the database"
    folder = home / "attempt"
    folder.mkdir()
    launch = TrainingRun().launch(run.job, folder)
    assert launch.env["RLWHF_ENDPOINT_KEY_0"] == KEY
    assert KEY not in (folder / "spec.json").read_text() + " ".join(launch.argv)
    part = read_spec(folder / "spec.json").reward.parts[0]
    assert (part.asks.service.model, part.asks.service.addresses) == ("judge-7b", ["127.0.0.1"])
    assert (part.asks.prompt.name, part.asks.temperature, part.max_calls, part.max_cost) == ("score-0-5", 0.5, 50, None)
    assert part.asks.key_variable == "RLWHF_ENDPOINT_KEY_0"
    assert part.asks.cache == home / "cache" / "teachers"
    again = run_clone(run=run, name="again", actor=None)
    assert again.spec["reward"]["parts"][0]["version"] == 2


def test_the_lower_limit_holds_and_the_projects_rubric_is_the_one_that_judges(wanted):
    project = project_create(name="Numbers", actor=None)
    wanted["dataset"].project = project
    wanted["dataset"].save()
    run = run_queue(name="taught", actor=None, **wanted | {"overrides": with_part(max_calls=7)})
    values, _ = teachers_placed(run.spec, run.dataset)
    assert values["reward"]["parts"][0]["max_calls"] == 7
    assert values["reward"]["parts"][0]["asks"]["rubric"]["name"] == project.rubric_version.rubric.name
    assert place_spec(run, wanted["base"].model_folder).reward.parts[0].asks is None


@pytest.mark.parametrize(
    ("part", "field", "why"),
    [
        ({"teacher": "nobody"}, "reward.parts.0.teacher", "no teacher “nobody”"),
        ({"version": 3}, "reward.parts.0.teacher", "no version 3 that gives single scores"),
        ({"max_cost": 1.0}, "reward.parts.0.max_cost", "has no prices"),
        ({"asks": "given"}, "reward.parts.0.asks", "leave `asks` away"),
    ],
)
def test_what_cannot_be_asked_is_refused_when_the_run_is_queued(part, field, why, wanted):
    if "asks" in part:
        run = run_queue(name="first", actor=None, **wanted)
        part = {"asks": teachers_placed(run.spec, run.dataset)[0]["reward"]["parts"][0]["asks"]}
    with pytest.raises(RunRefused, match=why) as caught:
        run_queue(name="taught", actor=None, **wanted | {"overrides": with_part(**part)})
    assert caught.value.field == field


def test_a_host_that_is_no_longer_allowed_is_not_called(wanted, home):
    run = run_queue(name="taught", actor=None, **wanted)
    AllowedHost.objects.all().delete()
    with pytest.raises(RunRefused, match="may not call") as caught:
        run_queue(name="other", actor=None, **wanted)
    assert caught.value.field == "reward.parts.0.teacher"
    with pytest.raises(CannotStart, match="may not call"):
        TrainingRun().launch(run.job, home)


def test_neither_a_resting_teacher_nor_one_within_a_constitution_nor_another_backend_nor_a_bundle(wanted):
    within = {"kind": "constitutional", "principles": [{"part": {"kind": "teacher", "teacher": "judge"}}]}
    for change, why in (
        ({"overrides": {"reward": {"parts": [within]}}}, "no principle of a constitution"),
        ({"overrides": TEACHER | {"backend": "ms-swift"}}, "cannot ask an AI teacher"),
    ):
        with pytest.raises(RunRefused, match=why):
            run_queue(name="taught", actor=None, **wanted | change)
    with pytest.raises(RunRefused, match="its key does not travel"):
        elsewhere_check(name="taught", **wanted)
    teacher_switch(teacher=Teacher.objects.get(name="judge"), is_active=False, actor=None)
    with pytest.raises(RunRefused, match="is resting"):
        run_queue(name="taught", actor=None, **wanted)


def test_a_version_whose_scores_are_revoked_rewards_no_new_run(wanted):
    revoke(target=Rater.objects.get(name="judge@2"), reason="Too kind.", actor=None)
    with pytest.raises(RunRefused, match="judge@2 are revoked") as caught:
        run_queue(name="taught", actor=None, **wanted)
    assert caught.value.field == "reward.parts.0.teacher"
    assert run_queue(name="other", actor=None, **wanted | {"overrides": with_part(version=1)}).job_id


def test_only_an_admin_has_a_run_ask_a_teacher(wanted, django_user_model):
    member = django_user_model.objects.create_user("m", password="x", role="member")
    with pytest.raises(RunRefused, match="costs money"):
        run_queue(name="taught", actor=member, **wanted)
    admin = django_user_model.objects.create_user("a", password="x", role="admin")
    assert run_queue(name="taught", actor=admin, **wanted).job_id


def test_the_form_offers_the_teachers_and_nothing_of_how_they_are_asked(wanted, signed_in):
    fields = [one.dotted for group in groups_of("grpo", TEACHER) for one in group.fields]
    assert "reward.parts.0.teacher" in fields and not [name for name in fields if "asks" in name]
    client = signed_in("admin")
    page = client.get("/train/rewards/").content.decode()
    assert "AI teacher" in page and "key_variable" not in page
    kinds = {one["kind"]: one for one in client.get("/api/rewards").json()["kinds"]}
    assert "asks" not in [one["name"] for one in kinds["teacher"]["settings"]]
