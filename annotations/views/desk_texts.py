"""What the desk's scripts say. They hold no words of their own: `text("name", {…})` finds them here."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Names in {braces} are filled in by the script.
TEXTS: dict[str, Promise] = {
    "draft_saved": _("Draft saved."),
    "draft_kept": _("Draft kept in this browser; the site did not answer."),
    "draft_restored": _("Draft restored."),
    "not_sent": _(
        "{count} of your actions could not be sent; they are kept in this browser. "
        "If you have been logged out, log in in another tab."
    ),
    "try_again": _("Try again"),
    "refused": _("Item {item}: {error}"),
    "choose_score": _("Choose an overall score first, or “cannot verify”."),
    "mark_made": _("Marked as {label}: “{words}”"),
    "mark_removed": _("Mark removed: {label}, “{words}”"),
    "mark_remove": _("Remove"),
    "mark_remove_one": _("Remove the mark {label}: “{words}”"),
    "mark_nothing": _("Select the words first."),
    "mark_known": _("These words are marked so already."),
    "mark_most": _("An answer has {count} marks at most."),
}
