"""Alerts of champions that stand on revoked scores: as many as there are, whoever was revoked, reinstated or promoted."""

from django.db import transaction

from accounts.sentences import ended
from evaluation.ledger.selectors import key_of
from evaluation.ledger.standing import revoked_under
from evaluation.models import Promotion
from jobs.alerting.rules import CHAMPION_REVOKED, Finding
from jobs.alerting.services import alert_open, alerts_close
from jobs.models import Alert


@transaction.atomic
def champions_watch() -> int:
    """Open an alert for each champion and revocation that it stands on, and close those that are over; safe to repeat. Returns
    how many such there are.
    """
    champions = list(Promotion.objects.filter(ended_at=None).select_related("project", "artifact").defer("certificate"))
    under = revoked_under(one.artifact_id for one in champions)
    wanted: set[str] = set()
    for champion in champions:
        for revocation in under.get(champion.artifact_id, ()):
            subject = f"{champion.artifact.name}, promotion {champion.pk}, revocation {revocation.pk}"
            wanted.add(subject)
            finding = Finding(
                CHAMPION_REVOKED,
                f"“{champion.artifact}”, champion of {champion.project}, stands on scores of {revocation} that are revoked: "
                f"{ended(revocation.reason)}",
                f"Make it anew without them under {revocation.get_absolute_url()}, or take it back under "
                f"{champion.get_absolute_url()}. It stays champion until somebody decides.",
                {
                    "project": champion.project.slug,
                    "model": champion.artifact.name,
                    "revocation": revocation.pk,
                    "target": key_of(revocation.target),
                },
            )
            alert_open(subject=subject, finding=finding)
    over = Alert.objects.filter(rule=CHAMPION_REVOKED, closed_at=None).exclude(subject__in=wanted)
    alerts_close(list(over), because="The scores count again, or another model is champion.")
    return len(wanted)
