"""rlwhf promotion: who is champion of a project, its rules, verdicts, certificates, and the way back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError

from accounts.shell import acting_user, add_user_argument
from annotations.management.commands.import_items import project_known
from annotations.models import Project, Revocation
from evaluation.ledger.selectors import key_of
from evaluation.models import Benchmark, PromotionVerdict
from evaluation.promotion import selectors, services
from evaluation.promotion.certificate import BadCertificate, Certificate, public_key_of, site_key, verify
from evaluation.promotion.certifying import certified
from evaluation.promotion.forms import rules_text
from evaluation.promotion.rules import Rules
from evaluation.promotion.services import PromotionRefused
from jobs.follow import follow, succeeded
from training.models import Artifact

MARKS = {"broken": "✗", "unknown": "?", "kept": "✓", "left out": "–"}


class Command(BaseCommand):
    help = (
        "Which model answers next: rlwhf promotion [show|rules|judge|verdicts|questions|promote|rollback|certificate|verify|key]"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="every project with its champion (the default)")
        actions.add_parser("key", help="the public key that this site's certificates are signed with")
        show = actions.add_parser("show", help="a project's champion, its history and its challengers")
        rules = actions.add_parser("rules", help="a project's rules; with --set, new ones")
        rules.add_argument(
            "--set", dest="file", type=Path, metavar="FILE", help="JSON; `rlwhf promotion rules PROJECT` shows one"
        )
        rules.add_argument("--benchmark", default="", help="name, or the start of the hash, of the benchmark that decides")
        judge = actions.add_parser("judge", help="hold a model against the champion, and wait for the verdict")
        verdicts = actions.add_parser("verdicts", help="what was said of each model that was judged, the newest first")
        verdicts.add_argument("--most", type=int, default=20, help="so many of them (default: 20)")
        asked = actions.add_parser("questions", help="the questions that stand in a judged model's training rows, one a line")
        promote = actions.add_parser("promote", help="make a model champion: by its newest verdict, or --anyway with a reason")
        promote.add_argument("--anyway", action="store_true", help="whatever the rules say; asks for --reason")
        back = actions.add_parser("rollback", help="back to the champion before")
        certificate = actions.add_parser("certificate", help="print the champion's certificate")
        for one in (show, rules, judge, verdicts, asked, promote, back, certificate):
            one.add_argument("project", help="name or address part of the project")
        for one in (judge, asked, promote):
            one.add_argument("model", help="name of the model")
        for one in (promote, back):
            one.add_argument("--reason", default="")
        for one in (rules, judge, promote, back):
            add_user_argument(one)
        check = actions.add_parser("verify", help="whether a certificate is what was signed")
        check.add_argument("file", type=Path)
        check.add_argument("--public-key", default="", help="whose signature it must be (default: this site's)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action'] or 'list'}")(options)
        except (PromotionRefused, BadCertificate) as refused:
            raise CommandError(str(refused)) from refused

    def _list(self, options: dict[str, Any]) -> None:
        for row in selectors.courts():
            name = row.champion.artifact.name if row.champion else "nobody"
            told = f"rules {row.rules.number}" if row.rules else "no rules"
            self.stdout.write(f"{row.project.slug:30} {name:40} {told}{', on revoked scores' if row.revoked else ''}")

    def _show(self, options: dict[str, Any]) -> None:
        court = selectors.court_of(project_known(options["project"]))
        self.stdout.write(f"champion: {court.champion.artifact.name if court.champion else 'nobody'}")
        self._warn(court.revoked)
        for one in court.history:
            until = f"{one.ended_at:%Y-%m-%d %H:%M}" if one.ended_at else "now"
            self.stdout.write(f"  {one.artifact.name:36} {one.kind:9} {one.promoted_at:%Y-%m-%d %H:%M} to {until}  {one.reason}")
        for challenger in court.challengers:
            told = _state(challenger.verdict) if challenger.verdict else "not judged"
            self.stdout.write(f"challenger: {challenger.evaluation.model_name:36} {told}")

    def _warn(self, revoked: Sequence[Revocation]) -> None:
        for one in revoked:
            how = f"rlwhf ledger rebuild {one.pk} makes it anew without them"
            self.stdout.write(f"  made with revoked scores: {key_of(one.target)} ({one.reason}); {how}")

    def _rules(self, options: dict[str, Any]) -> None:
        project = project_known(options["project"])
        now = services.rules_of(project)
        if options["file"] is None:
            self.stdout.write(rules_text(Rules.model_validate(now.rules) if now else Rules()))
            return
        try:
            wanted = orjson.loads(options["file"].read_bytes())
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        except orjson.JSONDecodeError as error:
            raise CommandError(f"{options['file']}: {error}") from error
        benchmark = _benchmark(options["benchmark"]) if options["benchmark"] else now.benchmark if now else None
        if benchmark is None:
            raise CommandError("Say which benchmark decides: --benchmark NAME")
        made = services.rules_set(project=project, rules=wanted, benchmark=benchmark, actor=acting_user(options))
        self.stdout.write(f"Rules {made.number} of {project} hold now.")

    def _judge(self, options: dict[str, Any]) -> None:
        project, artifact = project_known(options["project"]), _model(options["model"])
        queued = services.verdict_queue(project=project, artifact=artifact, actor=acting_user(options))
        succeeded(follow(queued.job, self.stderr.write))
        self._tell(selectors.verdict_get(queued.pk))

    def _tell(self, verdict: PromotionVerdict) -> None:
        document = selectors.document_of(verdict)
        assert document is not None  # its job has succeeded
        self.stdout.write(document.text)
        for row in selectors.rule_rows(document):
            one = row["outcome"]
            self.stdout.write(f"  {MARKS[one.state]} {one.title}: {one.text}")

    def _verdicts(self, options: dict[str, Any]) -> None:
        found = selectors.verdicts_of(project_known(options["project"])).order_by("-pk")
        for one in found[: max(0, options["most"])]:
            against = f", against {one.against.model_name}" if one.against else ""
            watch = ", measured again" if one.watch else ""
            told = f"{_state(one):11} rules {one.rules.number}{against}{watch}"
            self.stdout.write(f"{one.pk:>6} {one.created_at:%Y-%m-%d %H:%M} {one.evaluation.model_name:36} {told}")

    def _questions(self, options: dict[str, Any]) -> None:
        project, artifact = project_known(options["project"]), _model(options["model"])
        verdict = selectors.verdicts_of(project).filter(evaluation__artifact=artifact, ready_at__isnull=False).first()
        if verdict is None:
            raise CommandError(f"“{artifact}” was not judged yet: rlwhf promotion judge {project.slug} {artifact}")
        for one in selectors.questions_of(selectors.verdict_get(verdict.pk)):
            self.stdout.write(one.model_dump_json())

    def _promote(self, options: dict[str, Any]) -> None:
        project, artifact = project_known(options["project"]), _model(options["model"])
        verdict = selectors.verdicts_of(project).filter(evaluation__artifact=artifact, watch=False).first()
        if options["anyway"]:
            how = {"reason": options["reason"], "actor": acting_user(options), "verdict": verdict}
            made = services.promote_by_hand(project=project, artifact=artifact, **how)
        elif verdict is None:
            raise CommandError(f"“{artifact}” was not judged yet: rlwhf promotion judge {project.slug} {artifact}")
        else:
            made = services.promote(verdict=selectors.verdict_get(verdict.pk), actor=acting_user(options))
        self.stdout.write(f"{made.artifact} is champion of {project} now.")

    def _rollback(self, options: dict[str, Any]) -> None:
        project = project_known(options["project"])
        back = services.champion_roll_back(project=project, reason=options["reason"], actor=acting_user(options))
        self.stdout.write(f"{back.artifact} is champion again." if back else "There is no champion now.")

    def _certificate(self, options: dict[str, Any]) -> None:
        champion = services.champion_of(_project(options))
        if champion is None:
            raise CommandError("There is no champion.")
        self.stdout.write(Certificate.model_validate(champion.certificate).model_dump_json(indent=2))

    def _key(self, options: dict[str, Any]) -> None:
        self.stdout.write(public_key_of(site_key(Path(settings.RLWHF_HOME))))

    def _verify(self, options: dict[str, Any]) -> None:
        try:
            certificate = Certificate.model_validate_json(options["file"].read_bytes())
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise CommandError(f"{options['file']} is no certificate: {where}: {first['msg']}.") from error
        key = options["public_key"] or public_key_of(site_key(Path(settings.RLWHF_HOME)))
        verify(certificate, public_key=key)
        told = certificate.payload
        self.stdout.write(
            f"Signed by this key, unchanged: {told['model']['name']}, champion of {told['project']} at {told['at']}."
        )
        self._warn(certified(certificate).revoked)


def _project(options: dict[str, Any]) -> Project:
    return project_known(options["project"])


def _model(name: str) -> Artifact:
    found = Artifact.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no model named “{name}”.")
    return found


def _benchmark(wanted: str) -> Benchmark:
    found = Benchmark.objects.filter(name=wanted).first() or Benchmark.objects.filter(hash__startswith=wanted).first()
    if found is None:
        raise CommandError(f"There is no benchmark “{wanted}”; `rlwhf benchmarks` lists them.")
    return found


def _state(verdict: PromotionVerdict) -> str:
    if verdict.ready_at is None:
        return str(verdict.job.state)
    return {True: "passed", False: "refused", None: "cannot tell"}[verdict.passed]
