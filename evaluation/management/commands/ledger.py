"""rlwhf ledger: revoke scores, see what was made of them, and make it anew without them."""

from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.models import Revocation
from annotations.services import RevocationRefused
from evaluation.ledger import selectors, services
from evaluation.ledger.services import RebuildRefused

TARGET = "person:NAME, teacher:NAME@NUMBER, adjudicator:NAME, “gold:gold answers” or rubric:NAME-VERSION"


class Command(BaseCommand):
    help = "Whose scores no longer count, and what was made of them: rlwhf ledger [list|preview|revoke|show|lift|rebuild]"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="revocations, and whose scores stand in datasets (the default)")
        preview = actions.add_parser("preview", help="what was made of a target's scores; changes nothing")
        revoke_ = actions.add_parser("revoke", help="have a target's scores count for nothing from now on; deletes nothing")
        show = actions.add_parser("show", help="a revocation, and what was made of the scores")
        lift = actions.add_parser("lift", help="have the scores count again")
        rebuild = actions.add_parser("rebuild", help="queue what was made with the scores anew, without them")
        for one in (preview, revoke_):
            one.add_argument("target", help=TARGET)
        for one in (show, lift, rebuild):
            one.add_argument("revocation", help="its number, or its target's name while it is in force")
        for one in (revoke_, lift):
            one.add_argument("--reason", default="")
        for one in (preview, show):
            one.add_argument("--json", action="store_true", help="all of it, as JSON")
        rebuild.add_argument("--depth", choices=services.DEPTHS, default="datasets", help="how far (default: %(default)s)")
        for one in (revoke_, lift, rebuild):
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action'] or 'list'}")(options)
        except (RevocationRefused, RebuildRefused) as refused:
            raise CommandError(str(refused)) from refused

    def _list(self, options: dict[str, Any]) -> None:
        for one in selectors.revocations():
            until = f", lifted {one.lifted_at:%Y-%m-%d}: {one.lift_reason}" if one.lifted_at else ""
            key = selectors.key_of(one.target)
            self.stdout.write(f"{one.pk:4} {key:40} revoked {one.revoked_at:%Y-%m-%d}: {one.reason}{until}")
        sources = selectors.sources()
        if not sources:
            self.stdout.write("Nobody's scores stand in a dataset version yet: rlwhf dataset build makes one.")
        for source in sources:
            given = " and ".join(
                [_some(source.scores, "score"), *([_some(source.rankings, "ranking")] if source.rankings else [])]
            )
            told = f"{given} in {_some(source.versions, 'dataset version')}"
            self.stdout.write(f"     {source.key:40} {told}{' (revoked)' if source.revocation else ''}")

    def _preview(self, options: dict[str, Any]) -> None:
        self._tell(selectors.consequences_of(_target(options["target"])), as_json=options["json"])

    def _revoke(self, options: dict[str, Any]) -> None:
        made = services.scores_revoke(target=_target(options["target"]), reason=options["reason"], actor=acting_user(options))
        self.stdout.write(f"Revocation {made.pk}: the scores of {made} count for nothing from now on.")

    def _show(self, options: dict[str, Any]) -> None:
        one = _revocation(options)
        if not options["json"]:
            state = "in force" if one.is_in_force else f"lifted: {one.lift_reason}"
            self.stdout.write(f"{selectors.key_of(one.target)}, {state}. Revoked because: {one.reason}")
        self._tell(selectors.consequences_of(one.target), as_json=options["json"])
        for rebuild in selectors.rebuilds_of(one) if not options["json"] else ():
            states = ", ".join(f"{job.title}: {job.state}" for job in rebuild.jobs.all())
            self.stdout.write(f"rebuild {rebuild.pk}: {states}")

    def _lift(self, options: dict[str, Any]) -> None:
        lifted = services.scores_reinstate(revocation=_revocation(options), reason=options["reason"], actor=acting_user(options))
        self.stdout.write(f"The scores of {lifted} count again.")

    def _rebuild(self, options: dict[str, Any]) -> None:
        made = services.rebuild_queue(revocation=_revocation(options), actor=acting_user(options), depth=options["depth"])
        for part in ("datasets", "runs"):
            for old, new in made.payload[part].items():
                self.stdout.write(f"{old} → {new}")
        for left in made.payload["left"]:
            self.stdout.write(f"{left['what']} {left['name']} is left: {left['why']}")
        self.stdout.write(f"Queued: {_some(made.jobs.count(), 'job')}.")

    def _tell(self, found: selectors.Consequences, *, as_json: bool) -> None:
        told = selectors.document_of(found)
        if as_json:
            self.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
            return
        self.stdout.write(", ".join(_some(count, name.removesuffix("s")) for name, count in found.counts.items()))
        for one in found.datasets:
            rows = "made of rows of " + ", ".join(one.through) if one.through else f"{one.rows} of {one.of_rows} rows"
            rows = f"judged by it: {one.judged_in}" if one.judged_in else rows
            self.stdout.write(f"dataset   {one.version.name:40} {rows}")
        for run in found.runs:
            why = f"on {run.run.dataset.name}" if run.dataset else f"from {', '.join(run.through)}"
            why = "with it as reward" if run.is_rewarded and not run.dataset else why
            self.stdout.write(f"run       {run.run.name:40} {why}, {run.run.job.state}")
        for model in found.models:
            self.stdout.write(f"model     {model.artifact.name:40} from {', '.join(model.through)}")
        for card in found.scorecards:
            self.stdout.write(f"scorecard {card.model_name:40} {card.pk}, on {card.benchmark.name}")
        for promotion in found.promotions:
            state = "is champion of" if promotion.ended_at is None else "was champion of"
            self.stdout.write(f"promotion {promotion.artifact.name:40} {state} {promotion.project.slug}")


def _some(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _target(key: str) -> selectors.Target:
    found = selectors.target_named(key)
    if found is None:
        raise CommandError(f"There is no “{key}”; a target is written as {TARGET}. `rlwhf ledger` lists those with scores.")
    return found


def _revocation(options: dict[str, Any]) -> Revocation:
    named: str = options["revocation"]
    if not named.isdecimal():
        standing = selectors.revocation_of(_target(named))
        if standing is None:
            raise CommandError(
                f"The scores of {named} count: nothing revokes them. `rlwhf ledger preview` says what was made of them."
            )
        return standing
    found = selectors.revocations().filter(pk=int(named)).first()
    if found is None:
        raise CommandError(f"There is no revocation {named}; `rlwhf ledger` lists them.")
    return found
