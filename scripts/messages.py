"""Bring the catalogues in `locale/` up to date with what templates and code ask to have translated.

    .venv/bin/python scripts/messages.py          # update the .po files and write the .mo files
    .venv/bin/python scripts/messages.py --check  # say what is missing, unused or out of date; change nothing

Needs Babel (with the test dependencies) and none of GNU gettext's tools. To add a language: make
`locale/<code>/LC_MESSAGES/`, add the code to LANGUAGES in rlwhf_site/settings.py, run this, and fill in the new file.
"""

import argparse
import ast
import io
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django import setup
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "annotations", "dashboards", "evaluation", "jobs", "rlwhf_site", "training")
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
THE_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# %(name)s and %s: what is put in must be in the translation too.
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%[sd]")


# (file, message or its singular and plural, context) of everything that is marked.
Found = tuple[str, str | tuple[str, ...], str | None]


def messages() -> Iterator[Found]:
    for path in sorted(path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts):
        with path.open("rb") as source:
            for _, message, _, context in extract("python", source, keywords=KEYWORDS):
                yield path.relative_to(ROOT).as_posix(), message, context
    for path in sorted((ROOT / "templates").rglob("*.html")):
        yield from _of_template(path)


# Django reads a template as calls of gettext (of _ in a filter) between runs of X, which is no Python; each stands on its own.
CALL = re.compile(r"\b(?:gettext|ngettext|pgettext|npgettext|_)\((?:[^()\"']|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')*\)")


def _of_template(path: Path) -> Iterator[Found]:
    for call in CALL.findall(templatize(path.read_text(encoding="utf-8"), origin=str(path))):
        tree = ast.parse(call.strip(), mode="eval").body
        assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)
        texts = [one.value for one in tree.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        context = texts.pop(0) if tree.func.id in {"pgettext", "npgettext"} else None
        yield path.relative_to(ROOT).as_posix(), tuple(texts) if len(texts) > 1 else texts[0], context


def template() -> Catalog:
    catalog = Catalog(project="RLWHF", charset="utf-8", fuzzy=False)
    for file, message, context in messages():
        # Without line numbers: they would change with every edit.
        catalog.add(message, locations=[(file, 0)], context=context)
    return catalog


def problems(language: str, catalog: Catalog, wanted: Catalog) -> list[str]:
    """What keeps a catalogue from being complete, in words."""
    found = []
    there = {_key(one): one for one in catalog if one.id}
    asked = {_key(one): one for one in wanted if one.id}
    found += [f"{language}: not in the catalogue: {key[0]!r}" for key in asked.keys() - there.keys()]
    found += [f"{language}: nobody asks for it any more: {key[0]!r}" for key in there.keys() - asked.keys()]
    for key, one in there.items():
        forms = one.string if isinstance(one.string, tuple | list) else (one.string,)
        if not all(forms) or one.fuzzy:
            found.append(f"{language}: not translated: {key[0]!r}")
            continue
        ids = one.id if isinstance(one.id, tuple | list) else (one.id,)
        # A singular may do without its number, where the original does.
        if any(_placeholders(str(form)) not in [_placeholders(original) for original in ids] for form in forms):
            found.append(f"{language}: other placeholders than the original: {key[0]!r}")
    return sorted(found)


def _key(message: object) -> tuple[str, str | None]:
    identity = message.id  # type: ignore[attr-defined]
    return (identity[0] if isinstance(identity, tuple | list) else identity), message.context  # type: ignore[attr-defined]


def _placeholders(text: str) -> list[str]:
    return sorted(found[0] for found in PLACEHOLDER.finditer(text))


def compiled(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def update(path: Path, wanted: Catalog) -> Catalog:
    catalog = read(path)
    catalog.update(wanted, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    # Always the same day: who changed what, and when, is for version control.
    catalog.creation_date = catalog.revision_date = THE_DAY
    catalog.header_comment = f"# RLWHF in {catalog.locale.display_name if catalog.locale else path.parent.parent.name}."
    catalog.last_translator = catalog.language_team = catalog.msgid_bugs_address = "RLWHF"
    out = io.BytesIO()
    write_po(out, catalog, width=120, sort_output=True, ignore_obsolete=True, no_location=True, omit_header=False)
    path.write_bytes(out.getvalue())
    path.with_suffix(".mo").write_bytes(compiled(catalog))
    return catalog


def read(path: Path) -> Catalog:
    language = path.parent.parent.name
    if not path.exists():
        return Catalog(locale=language, project="RLWHF", version="1", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rlwhf_site.settings")
    setup()
    wanted = template()
    found = []
    for folder in sorted((ROOT / "locale").glob("*/LC_MESSAGES")):
        path = folder / "django.po"
        catalog = read(path) if options.check else update(path, wanted)
        found += problems(folder.parent.name, catalog, wanted)
        if options.check and path.with_suffix(".mo").read_bytes() != compiled(catalog):
            found.append(f"{folder.parent.name}: django.mo is not made from this django.po")
    print("\n".join(found) or f"{len(wanted)} messages, all translated")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
