"""Chat in a terminal: words as they come, several turns, one model or two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from accounts.models import User
from annotations.models import Project
from evaluation.chatting.asking import Asked, Done, Failed, Piece, Talker, message, new_id, replies
from evaluation.chatting.conversation import ChatRefused, Conversation, Wording
from evaluation.chatting.scoring import reply_score
from evaluation.chatting.selectors import endpoint_named
from evaluation.chatting.spending import check_spending, spending_record

HELP = """\
  /score PROJECT [MODEL]   put the last reply into a project, to be scored
  /system TEXT             what the model is told first; begins a new conversation
  /new                     begin a new conversation
  /quit                    end (so does Ctrl-D; Ctrl-C ends the answer that is under way)"""


class Terminal:
    """One session. `read` asks for a line and raises EOFError at the end; `write` shows text as it is."""

    def __init__(
        self,
        talkers: Sequence[Talker],
        *,
        wording: Wording,
        actor: User | None,
        read: Callable[[str], str],
        write: Callable[[str], None],
    ) -> None:
        self._talkers, self._wording, self._actor = talkers, wording, actor
        self._read, self._write = read, write
        self._begin()

    def run(self) -> None:
        """Until the person ends it."""
        names = " and ".join(one.name for one in self._talkers)
        self._write(f"You talk with {names}. /help says what else can be done.\n")
        while True:
            try:
                line = self._read("\n> ").strip()
            except (EOFError, KeyboardInterrupt):
                self._write("\n")
                return
            if line == "/quit":
                return
            try:
                self._do(line)
            except ChatRefused as refused:
                self._write(f"{refused}\n")

    def _do(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        if not line.startswith("/"):
            if line:
                self._say(line)
        elif command == "/score":
            self._score(rest.split())
        elif command == "/system":
            self._wording = self._wording.model_copy(update={"system": rest.strip()})
            self._begin()
            self._write("A new conversation, with that system prompt.\n" if rest.strip() else "A new one, without any.\n")
        elif command == "/new":
            self._begin()
            self._write("A new conversation.\n")
        else:
            self._write(f"{HELP}\n")

    def _begin(self) -> None:
        self._id = new_id()
        self._said: dict[str, Conversation] = {}

    def _say(self, text: str) -> None:
        """One model after the other: two that speak at once cannot be read."""
        try:
            for talker in self._talkers:
                self._hear(talker, text)
        except KeyboardInterrupt:
            self._write("\n(ended; the conversation is as it was before)\n")

    def _hear(self, talker: Talker, text: str) -> None:
        if talker.kind == "endpoint" and (endpoint := endpoint_named(talker.name)) is not None:
            check_spending(endpoint, self._actor)  # at each message: a session may go on for hours
        asked = message(talker, text, wording=self._wording, before=self._said.get(talker.name), conversation_id=self._id)
        if len(self._talkers) > 1:
            self._write(f"\n[{talker.name}] ")
        try:
            asyncio.run(self._told(talker, asked))
        finally:
            spending_record([asked], self._actor)

    async def _told(self, talker: Talker, asked: Asked) -> None:
        async with aclosing(replies([asked])) as events:
            async for event in events:
                match event:
                    case Piece(_, piece):
                        self._write(piece)
                    case Done(_, conversation):
                        self._said[talker.name] = conversation
                        self._write(_ending(conversation))
                    case Failed(_, reason):
                        self._write(f"{reason}\n")

    def _score(self, words: Sequence[str]) -> None:
        if not words:
            raise ChatRefused("Name the project: /score PROJECT.")
        project = Project.objects.filter(slug=words[0]).first()
        if project is None:
            known = ", ".join(Project.objects.values_list("slug", flat=True)[:20])
            raise ChatRefused(f"There is no project “{words[0]}”. Projects: {known or 'none yet'}.")
        conversation = self._said.get(self._named(words[1:]))
        if conversation is None:
            raise ChatRefused("Nothing has been answered yet.")
        scored = reply_score(conversation=conversation, turn=len(conversation.turns) - 1, project=project, actor=self._actor)
        is_now = "is now" if scored.is_new else "was already"
        self._write(f"The answer {is_now} item {scored.item.pk} of {project}; it is scored at {scored.desk}\n")

    def _named(self, words: Sequence[str]) -> str:
        names = [one.name for one in self._talkers]
        if not words and len(names) > 1:
            raise ChatRefused(f"Whose answer? /score PROJECT {names[0]}, or {names[1]}.")
        wanted = words[0] if words else names[0]
        if wanted not in names:
            raise ChatRefused(f"You do not talk with “{wanted}”, but with {' and '.join(names)}.")
        return wanted


def _ending(conversation: Conversation) -> str:
    last = conversation.turns[-1]
    if not last.content:
        return "(an empty answer)\n"
    return " … (cut off at the length that was allowed)\n" if last.ending == "length" else "\n"
