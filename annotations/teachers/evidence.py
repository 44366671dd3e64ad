"""Evidence that a teacher is shown beside an answer: where it comes from, and in what order it is looked for. Knows no Django.

A search service is asked that speaks SearXNG's JSON form (docs.searxng.org/dev/search_api.html): `GET /search?q=…&format=json`
answers `{"results": [{"title", "url", "content"}, …]}`. What it finds is kept, and asked for anew only when it is old. Where the
service is out, what is kept is taken however old it is, then a model is asked what it knows, and at last the answer's own words
must do. Each says where it comes from. All of it is somebody else's text: it is shown to the teacher between marks, as data.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx
from pydantic import Field

from accounts.chat.answers import plain_text
from accounts.chat.client import ChatAnswer, ChatClient, ChatQuestion, ServiceFailed
from annotations.rubric import Frozen, Rubric
from annotations.teachers.prompts import conversation, fence_of
from annotations.teachers.rules import judged_by_rules

Source = Literal["search", "cache", "model", "rules"]
FORM = "searxng-1"
"""How a search is asked and what is made of its answer; another way gets another number, and keeps nothing of this one."""
RULES = "rules-1"
KNOWLEDGE = "knowledge-1"
PROMPTS = Path(__file__).with_name("evidence_prompts")
FRESH = timedelta(days=30)
MOST_RESULTS = 5
LONGEST_QUERY, LONGEST_TITLE, LONGEST_SNIPPET, LONGEST_ADDRESS = 300, 200, 600, 500
LONGEST_KNOWLEDGE = 2000
KNOWLEDGE_TOKENS = 300
MOST_BYTES = 2 << 20
LONGEST_S = 20.0
TRIES, WAIT_S = 2, 0.5
SEARCHES_AT_ONCE = 8
"""Half of what chat services are asked at a time: each search asks several engines, and they shut out who asks much."""
NOTHING_FOUND = "The search found nothing."
NOTHING_KNOWN = "Nothing could be searched for. The model that was asked instead says that it knows nothing of this."
NOTHING_AT_ALL = "Nothing could be searched for, and no model could be asked. By the words of the answer alone: {told}"
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
# At the start of a word these are orders to the search service: another engine, a language, or to lead somewhere else.
_ORDERS = re.compile(r"(?<!\S)[!:?]+(?=\S)")
_UNKNOWN = re.compile(r"^\W*unknown\W*$", re.IGNORECASE)


class SearchFailed(RuntimeError):  # noqa: N818 - reads as what happened
    """The search service did not answer as it should; the message says what it did."""


@dataclass(frozen=True)
class Result:
    """One thing that a search found."""

    title: str
    url: str
    content: str


@dataclass(frozen=True)
class Evidence:
    """What was found, as the teacher is shown it. `provider` names who was asked and how; `number` is that of the kept one.

    `trouble` says why it is not what a search says now; tokens and cost (in the service's currency) are a model's.
    """

    source: Source
    provider: str
    query: str
    text: str
    at: datetime
    results: tuple[Result, ...] = ()
    trouble: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    number: int | None = None

    @property
    def digest(self) -> str:
        """Of what the teacher is shown: the same text is the same evidence."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Keeper(Protocol):
    """Where evidence is kept, by whom was asked, how, and what."""

    def find(self, provider: str, query: str) -> Evidence | None:
        """The newest, however old."""

    def keep(self, found: Evidence) -> Evidence:
        """As it is kept: with its number."""


class KnowledgePrompt(Frozen):
    """One version of what a model is asked."""

    name: str
    version: int = Field(ge=1)
    title: str = ""
    system: str = ""
    user: str


# --- a search


def query_of(prompt: str) -> str:
    """What is searched for: the question's words, without what a search service would take for an order."""
    return _ORDERS.sub("", _BLANKS.sub(" ", prompt).strip())[:LONGEST_QUERY].strip()


def search_provider(address: str) -> str:
    return f"{FORM} {address.rstrip('/')}"


def searched(client: httpx.Client, query: str) -> list[Result]:
    """What the service at the client's address finds. Raises SearchFailed, and what the client's transport refuses."""
    failed = SearchFailed("it was not asked")
    for number in range(TRIES):
        if number:
            time.sleep(WAIT_S)
        try:
            return _results(_body(client, query))
        except httpx.HTTPError as error:
            failed = SearchFailed(f"{client.base_url} did not answer: {type(error).__name__} {error}".strip()[:300])
        except _Passing as passing:
            failed = SearchFailed(f"{client.base_url} {passing}")
    raise failed


class _Passing(Exception):  # noqa: N818
    """Something that another try may mend."""


def _body(client: httpx.Client, query: str) -> bytes:
    body, until = b"", time.monotonic() + LONGEST_S
    with client.stream("GET", "search", params={"q": query, "format": "json"}) as response:
        if response.status_code >= 500:
            raise _Passing(f"answered {response.status_code}")
        if response.status_code != 200:
            hint = ": is json among its search.formats?" if response.status_code == 403 else ""
            raise SearchFailed(f"{client.base_url} answered {response.status_code}{hint}")
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                raise SearchFailed(f"{client.base_url} answered with more than {MOST_BYTES >> 20} MiB")
            if time.monotonic() > until:
                raise SearchFailed(f"{client.base_url} had not finished after {LONGEST_S:.0f} seconds")
    return body


def _results(body: bytes) -> list[Result]:
    """Of a body in SearXNG's form; what has neither a title nor content is left out."""
    try:
        told = json.loads(body)
    except ValueError:
        raise SearchFailed("its answer is no JSON") from None
    listed = told.get("results") if isinstance(told, Mapping) else None
    if not isinstance(listed, list):
        raise SearchFailed("its answer has no list of results")
    found = [
        Result(_words(one, "title", LONGEST_TITLE), _address(one), _words(one, "content", LONGEST_SNIPPET))
        for one in listed
        if isinstance(one, Mapping)
    ]
    return [one for one in found if one.title or one.content][:MOST_RESULTS]


def _words(one: Mapping[str, Any], name: str, longest: int) -> str:
    value = one.get(name)
    if not isinstance(value, str):
        return ""
    return _BLANKS.sub(" ", plain_text(value)).strip()[:longest]


def _address(one: Mapping[str, Any]) -> str:
    """Pages link to it, so nothing but the web."""
    url = _words(one, "url", LONGEST_ADDRESS)
    return url if url.startswith(("http://", "https://")) else ""


def results_in_words(results: Sequence[Result]) -> str:
    """As a teacher is shown them."""
    if not results:
        return NOTHING_FOUND
    return "\n".join(
        f"[{number}] {' '.join(part for part in (one.title, f'({one.url})' if one.url else '') if part)}\n{one.content}".rstrip()
        for number, one in enumerate(results, 1)
    )


# --- what a model knows


@cache
def knowledge_prompt(name: str = KNOWLEDGE) -> KnowledgePrompt:
    return KnowledgePrompt.model_validate(tomllib.loads((PROMPTS / f"{name}.toml").read_text(encoding="utf-8")))


def knowledge_provider(endpoint: str, model: str) -> str:
    return f"{KNOWLEDGE} {endpoint} {model}"


def knowledge_question(prompt: str, *, secret: str) -> ChatQuestion:
    asked = knowledge_prompt()
    fence = fence_of(hashlib.sha256(prompt.encode()).hexdigest(), secret=secret)
    return ChatQuestion(conversation(asked.system, asked.user, {"prompt": prompt, "fence": fence}), KNOWLEDGE_TOKENS)


def known_in_words(answer: ChatAnswer) -> str:
    """As a teacher is shown it; empty where the model has said nothing that could be used."""
    text = _words({"text": answer.text}, "text", LONGEST_KNOWLEDGE)
    if answer.ending in ("rejected", "filtered", "refused") or not text:
        return ""
    return NOTHING_KNOWN if _UNKNOWN.match(text) else f"Nothing could be searched for. A model that was asked says: {text}"


@dataclass
class Knower:
    """The model that is asked where no search can be had. `most` questions at most, None: no limit; `most_cost` likewise."""

    client: ChatClient
    endpoint: str
    secret: str
    most: int | None = None
    most_cost: float | None = None

    @property
    def provider(self) -> str:
        return knowledge_provider(self.endpoint, self.client.service.model)

    def ask(self, prompts: Sequence[str], each: Callable[[int, Evidence], None], now: Callable[[], datetime]) -> None:
        """Raises ServiceFailed; what was told by then stays told. `each` is called from an event loop."""

        def told(index: int, answer: ChatAnswer) -> None:
            text = known_in_words(answer)
            if not text:
                return
            cost = None if (prices := (service.price_in, service.price_out)) == (None, None) else (
                ((answer.tokens_in or 0) * (prices[0] or 0) + (answer.tokens or 0) * (prices[1] or 0)) / 1e6
            )  # fmt: skip
            used = {"tokens_in": answer.tokens_in or 0, "tokens_out": answer.tokens or 0, "cost": cost}
            each(index, Evidence("model", self.provider, prompts[index], text, now(), **used))  # type: ignore[arg-type]

        service = self.client.service
        self.client.ask([knowledge_question(one, secret=self.secret) for one in prompts], each=told, stop=self._spent)

    def _spent(self) -> bool:
        usage = self.client.usage
        if self.most is not None and usage.requests >= self.most:
            return True
        cost = usage.cost(self.client.service)
        return self.most_cost is not None and cost is not None and cost >= self.most_cost


# --- all of it, in order


@dataclass
class Finder:
    """Looks for evidence: in what is kept and fresh, by a search, in what is kept and old, and by a model."""

    keeper: Keeper
    address: str
    search: Callable[[str], Sequence[Result]]
    """raises SearchFailed; from several threads at once"""
    knower: Callable[[], Knower | None]
    """the model, if there is one; raises one of `no_model` where it cannot be had"""
    now: Callable[[], datetime]
    no_model: tuple[type[Exception], ...] = (ServiceFailed,)
    stop: Callable[[], bool] = lambda: False
    at_once: int = SEARCHES_AT_ONCE

    def find(self, prompts: Iterable[str]) -> tuple[dict[str, Evidence], str]:
        """By prompt, for those of which there is any; and why the others have none."""
        wanted, provider = list(dict.fromkeys(prompts)), search_provider(self.address)
        kept = {query: self.keeper.find(provider, query) for query in dict.fromkeys(map(query_of, wanted))}
        fresh = {query for query, one in kept.items() if one is not None and self.now() - one.at < FRESH}
        made, trouble = self._searched([query for query in kept if query not in fresh], provider)
        found: dict[str, Evidence] = {}
        for prompt in wanted:
            query = query_of(prompt)
            if (one := made.pop(query, None)) is not None:
                found[prompt] = kept[query] = one
                fresh.add(query)
            elif (old := kept[query]) is not None:
                found[prompt] = replace(old, source="cache", trouble="" if query in fresh else trouble[:300])
        if self.stop():
            return {prompt: one for prompt, one in found.items() if query_of(prompt) in fresh}, "It was asked to stop."
        missing = [one for one in wanted if one not in found]
        if missing:
            trouble = " ".join(filter(None, (trouble, self._known(missing, found, trouble))))
        return found, trouble[:300]

    def _searched(self, queries: Sequence[str], provider: str) -> tuple[dict[str, Evidence], str]:
        """What a search finds, kept as it comes: the first alone, and then several at a time. After one that fails none begins:
        what is out is out for all that is asked for at once.
        """
        made: dict[str, Evidence] = {}
        troubles: list[str] = []

        def results(query: str) -> tuple[Result, ...] | None:
            if troubles or self.stop():
                return None
            try:
                return tuple(self.search(query))
            except SearchFailed as failed:
                troubles.append(str(failed))
                return None

        def keep(query: str, told: tuple[Result, ...] | None) -> None:
            if told is not None:
                found = Evidence("search", provider, query, results_in_words(told), self.now(), told)
                made[query] = self.keeper.keep(found)

        for query in queries[:1]:
            keep(query, results(query))
        with ThreadPoolExecutor(self.at_once) as pool:
            under_way = {pool.submit(results, query): query for query in queries[1:]}
            try:
                for one in as_completed(under_way):
                    keep(under_way[one], one.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return made, troubles[0] if troubles else ""

    def _known(self, prompts: Sequence[str], found: dict[str, Evidence], trouble: str) -> str:
        """Add what a model knows; returns why it said nothing of some."""
        try:
            knower = self.knower()
            if knower is None:
                return "There is no model to be asked instead."
            asked = []
            for prompt in prompts:
                kept = self.keeper.find(knower.provider, prompt)
                if kept is not None and self.now() - kept.at < FRESH:
                    found[prompt] = replace(kept, trouble=trouble[:300])
                else:
                    asked.append(prompt)

            heard: dict[int, Evidence] = {}
            try:
                knower.ask(asked, heard.__setitem__, self.now)
            finally:  # what was said before it failed was paid for
                for index, one in heard.items():
                    found[asked[index]] = replace(self.keeper.keep(one), trouble=trouble[:300])
        except self.no_model as failed:
            return str(failed)
        return "" if all(one in found for one in prompts) else "The model said nothing of it, or its budget is used up."


def evidence_by_rules(answer: str | None, gold: Sequence[str], rubric: Rubric, *, trouble: str, now: datetime) -> Evidence:
    """The last resort, which is always there: what the answer's own words say; of a pair (None) they say nothing."""
    reply = None if answer is None else judged_by_rules(answer, gold, rubric)
    told = "nothing can be said." if reply is None or reply.score is None else f"{reply.score:+g}. {reply.critique}"
    return Evidence("rules", RULES, "", NOTHING_AT_ALL.format(told=told), now, trouble=trouble[:300])
