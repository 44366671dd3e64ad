"""Everything that changes who is champion: pages, API, commands and the workers' own watch call these."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from pydantic import ValidationError

from accounts import audit
from accounts.models import User
from accounts.sentences import ended
from annotations.models import Project
from evaluation.ledger.watching import champions_watch
from evaluation.models import Benchmark, Evaluation, Promotion, PromotionRules, PromotionVerdict
from evaluation.promotion.certifying import Crowning, certificate_of
from evaluation.promotion.rules import Rules
from evaluation.promotion.verdict import VerdictDocument
from jobs.alerting.rules import CHAMPION_ROLLED_BACK, Finding
from jobs.alerting.services import alert_open, alerts_close
from jobs.models import Alert
from jobs.services import job_queue
from training.models import Artifact

KIND = "evaluation.verdict"


class PromotionRefused(ValueError):  # noqa: N818 (a refusal is no accident)
    """Why it cannot be done, and how to mend that. `field` names what to change."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def champion_of(project: Project) -> Promotion | None:
    found = Promotion.objects.filter(project=project, ended_at=None)
    return found.select_related("artifact", "previous", "verdict", "promoted_by").first()


def rules_of(project: Project) -> PromotionRules | None:
    """The newest; None where nobody has set any."""
    return PromotionRules.objects.filter(project=project).select_related("benchmark", "created_by").first()


@transaction.atomic
def rules_set(*, project: Project, rules: Mapping[str, Any], benchmark: Benchmark, actor: User | None) -> PromotionRules:
    """The next version of the project's rules. Raises PromotionRefused for rules that make no sense."""
    try:
        checked = Rules.model_validate(rules)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "rules"
        raise PromotionRefused(f"{where}: {first['msg'].removeprefix('Value error, ')}", "rules") from error
    if told := checked.twice():
        raise PromotionRefused(f"{told}.", "rules")
    locked = Project.objects.select_for_update().get(pk=project.pk)
    number = (PromotionRules.objects.filter(project=locked).aggregate(last=Max("number"))["last"] or 0) + 1
    made = PromotionRules.objects.create(
        project=locked, number=number, rules=checked.model_dump(mode="json"), benchmark=benchmark, created_by=actor
    )
    audit.record(actor=actor, action="evaluation.promotion_rules_set", target=made, detail={"benchmark": str(benchmark)})
    return made


@transaction.atomic
def verdict_queue(
    *, project: Project, artifact: Artifact, actor: User | None, watched: Evaluation | None = None
) -> PromotionVerdict:
    """Have a model's newest scorecard held against the champion's, both on the rules' benchmark; or one of the champion's own
    (`watched`) against that of the champion before it. Raises PromotionRefused.
    """
    watch = watched is not None
    rules = rules_of(project)
    if rules is None:
        raise PromotionRefused(f"“{project}” has no rules for promotion yet: set them first.", "project")
    champion = champion_of(project)
    if champion is not None and champion.artifact_id == artifact.pk and not watch:
        raise PromotionRefused(f"“{artifact}” is the champion already.", "model")
    if artifact.purpose != Artifact.Purpose.POLICY:
        raise PromotionRefused(f"“{artifact}” answers nothing: it is {artifact.purpose_in_words}.", "model")
    evaluation = watched or _measured(artifact, rules.benchmark, project)
    beside = champion.previous if watch and champion else champion
    against = _newest(beside.artifact, rules.benchmark) if beside else None
    if against is None and beside is not None and not watch:
        raise PromotionRefused(
            f"The champion “{beside.artifact}” has no scorecard on {rules.benchmark}: evaluate it there first.", "champion"
        )
    job = job_queue(
        kind=KIND,
        title=f"{'Watch' if watch else 'Verdict on'} {artifact.name} for {project.name}",
        payload={"model": artifact.name, "project": project.slug},
        hardware_tag="cpu",
        actor=actor,
    )
    verdict = PromotionVerdict.objects.create(
        project=project,
        rules=rules,
        evaluation=evaluation,
        against=against,
        champion=champion,
        watch=watch,
        job=job,
        requested_by=actor,
    )
    detail = {"model": artifact.name, "rules": rules.number, "watch": watch}
    audit.record(actor=actor, action="evaluation.verdict_queued", target=verdict, detail=detail)
    return verdict


def _measured(artifact: Artifact, benchmark: Benchmark, project: Project) -> Evaluation:
    found = _newest(artifact, benchmark)
    if found is None:
        raise PromotionRefused(
            f"“{artifact}” has no scorecard on {benchmark}, by which “{project}” decides: evaluate it there first.", "model"
        )
    return found


def _newest(artifact: Artifact, benchmark: Benchmark) -> Evaluation | None:
    return Evaluation.objects.done().filter(artifact=artifact, benchmark=benchmark).order_by("-pk").first()


@transaction.atomic
def verdict_store(*, verdict: PromotionVerdict, document: VerdictDocument) -> PromotionVerdict:
    """Take over what the child process reckoned. Of a champion that broke a rule, this takes the site back to the one before."""
    verdict.document = document.model_dump(mode="json")
    verdict.passed, verdict.ready_at = document.passed, timezone.now()
    verdict.save(update_fields=["document", "passed", "ready_at"])
    audit.record(actor=None, action="evaluation.verdict_given", target=verdict, detail={"passed": document.passed})
    if verdict.watch and verdict.passed is False:
        project = Project.objects.select_for_update().get(pk=verdict.project_id)
        champion = champion_of(project)
        # Who was taken back and promoted again meanwhile was so in spite of what is known of it.
        if champion is not None and champion.pk == verdict.champion_id:
            champion_roll_back(project=project, reason=document.text, actor=None, verdict=verdict)
    return verdict


@transaction.atomic
def promote(*, verdict: PromotionVerdict, actor: User | None) -> Promotion:
    """Make a challenger champion that kept every rule. Raises PromotionRefused where it did not, or where something has changed
    since: then it is to be judged again.
    """
    project = Project.objects.select_for_update().get(pk=verdict.project_id)
    if verdict.ready_at is None:
        raise PromotionRefused("The verdict is not there yet.")
    if verdict.watch:
        raise PromotionRefused("This verdict is of a champion that was measured again; it promotes nobody.")
    if not verdict.passed:
        raise PromotionRefused(f"{(verdict.document or {}).get('text', 'It did not pass.')} Promote it by hand, with a reason.")
    champion = champion_of(project)
    if verdict.champion_id != (champion.pk if champion else None):
        raise PromotionRefused("Somebody else became champion since: have it judged against them.")
    newest = rules_of(project)
    if newest is None or verdict.rules_id != newest.pk:
        raise PromotionRefused("The rules were changed since: have it judged by the new ones.")
    artifact = verdict.evaluation.artifact
    assert artifact is not None  # only artifacts are judged
    measured = _newest(artifact, newest.benchmark)
    if measured is None or measured.pk != verdict.evaluation_id:
        raise PromotionRefused(f"“{artifact}” was measured again since: have it judged by its newest scorecard.")
    return _crown(project, artifact, Promotion.Kind.RULES, actor, verdict=verdict)


@transaction.atomic
def promote_by_hand(
    *, project: Project, artifact: Artifact, reason: str, actor: User | None, verdict: PromotionVerdict | None = None
) -> Promotion:
    """Make a model champion whatever the rules say; the reason stands in its certificate. Raises PromotionRefused."""
    if not reason.strip():
        raise PromotionRefused("Say why: the reason stands in the certificate.", "reason")
    if artifact.ready_at is None:
        raise PromotionRefused(f"“{artifact}” is not trained yet.", "model")
    if artifact.purpose != Artifact.Purpose.POLICY:
        raise PromotionRefused(f"“{artifact}” answers nothing: it is {artifact.purpose_in_words}.", "model")
    locked = Project.objects.select_for_update().get(pk=project.pk)
    champion = champion_of(locked)
    if champion is not None and champion.artifact_id == artifact.pk:
        raise PromotionRefused(f"“{artifact}” is the champion already.", "model")
    return _crown(locked, artifact, Promotion.Kind.OVERRIDE, actor, verdict=verdict, reason=reason.strip())


@transaction.atomic
def champion_roll_back(
    *, project: Project, reason: str, actor: User | None, verdict: PromotionVerdict | None = None, champion: int | None = None
) -> Promotion | None:
    """End the champion's time, and make the one before it champion again; None where there was none before. An alert tells of it.

    `champion` is the number of the promotion that is meant: what is asked for twice is done once. Raises PromotionRefused where
    another one is in force, and without a champion or a reason.
    """
    if not reason.strip():
        raise PromotionRefused("Say why: the reason stands in the history.", "reason")
    locked = Project.objects.select_for_update().get(pk=project.pk)
    reigning = champion_of(locked)
    if reigning is None:
        raise PromotionRefused(f"“{project}” has no champion to take back.", "project")
    if champion is not None and reigning.pk != champion:
        raise PromotionRefused(f"“{reigning.artifact}” is champion by now: look at the page again.", "champion")
    before = reigning.previous
    back = None
    if before is None:
        _end(reigning, reason)
        champions_watch()
    else:
        back = _crown(
            locked,
            before.artifact,
            Promotion.Kind.ROLLBACK,
            actor,
            verdict=verdict,
            reason=reason.strip(),
            previous=before.previous,
        )
    audit.record(
        actor=actor,
        action="evaluation.champion_rolled_back",
        target=reigning,
        detail={"to": before.artifact.name if before else None, "reason": reason},
    )
    _tell_of_going_back(reigning, before, reason.strip())
    return back


def _tell_of_going_back(gone: Promotion, before: Promotion | None, reason: str) -> None:
    to = f"“{before.artifact}” is champion again" if before else "there is no champion now"
    finding = Finding(
        CHAMPION_ROLLED_BACK,
        f"“{gone.artifact}” is no longer champion of {gone.project}: {ended(reason)} So {to}.",
        f"Its verdict and the history are under {gone.get_absolute_url()}.",
        {"project": gone.project.slug, "model": gone.artifact.name},
    )
    alert_open(subject=f"promotion:{gone.project.slug}:{gone.pk}", finding=finding)


def _end(champion: Promotion, because: str) -> None:
    Promotion.objects.filter(pk=champion.pk).update(ended_at=timezone.now(), ended_because=because)


def _crown(
    project: Project,
    artifact: Artifact,
    kind: Promotion.Kind,
    actor: User | None,
    *,
    verdict: PromotionVerdict | None = None,
    reason: str = "",
    previous: Promotion | None = None,
) -> Promotion:
    """With the project locked. `previous` is whom a later rollback leads to; none: the champion of now."""
    champion = champion_of(project)
    if champion is not None:
        _end(champion, f"{artifact} took its place" if kind != Promotion.Kind.ROLLBACK else reason)
    if kind != Promotion.Kind.ROLLBACK:
        told = Alert.objects.filter(rule=CHAMPION_ROLLED_BACK, subject__startswith=f"promotion:{project.slug}:", closed_at=None)
        alerts_close(list(told), because=f"{artifact} was promoted")
    now = timezone.now()
    certificate = certificate_of(Crowning(project, artifact, kind, actor, verdict, reason, champion), now)
    made = Promotion.objects.create(
        project=project,
        artifact=artifact,
        kind=kind,
        verdict=verdict,
        previous=previous if kind == Promotion.Kind.ROLLBACK else champion,
        reason=reason,
        certificate=certificate.model_dump(),
        promoted_by=actor,
        promoted_at=now,
    )
    detail: dict[str, object] = {"model": artifact.name, "kind": str(kind), "reason": reason}
    audit.record(actor=actor, action="evaluation.champion_promoted", target=made, detail=detail)
    champions_watch()
    return made


def evaluation_watched(*, evaluation: Evaluation) -> list[PromotionVerdict]:
    """A new scorecard of a champion: have it held to the rules again, in each project that decides by this benchmark."""
    live = Promotion.objects.filter(artifact=evaluation.artifact, ended_at=None).select_related("project", "artifact")
    queued = []
    for promotion in live if evaluation.artifact_id is not None else ():
        rules = rules_of(promotion.project)
        if rules is not None and rules.benchmark_id == evaluation.benchmark_id:
            queued.append(verdict_queue(project=promotion.project, artifact=promotion.artifact, actor=None, watched=evaluation))
    return queued
