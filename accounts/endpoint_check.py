"""Whether an endpoint answers: one question, asked now. Costs next to nothing, and says before a job does what is wrong."""

from dataclasses import dataclass

from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import EndpointRefused, endpoint_environment, endpoint_service
from accounts.hosts import HostRefused
from accounts.models import Endpoint
from accounts.secrets import SecretLost

QUESTION = "What is the capital of France? Answer with one word."
TOKENS = 64
# Whoever waits for it looks at a page; a job waits as long as the endpoint's own time-out says.
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answered:
    """What an endpoint said, and whether it tells how likely its words were, which one kind of confidence needs."""

    text: str
    tells_probabilities: bool

    def told(self, name: str) -> str:
        answers = f"answers “{self.text}”" if self.text else f"answers, with nothing in its first {TOKENS} tokens"
        return f"{name} {answers}, and tells {'' if self.tells_probabilities else 'no '}probabilities."


def endpoint_check(endpoint: Endpoint) -> Answered:
    """Ask it one question, once. Raises EndpointRefused where its host is not allowed, its key is lost, or it does not answer."""
    # a second to import, for this alone
    from accounts.chat.client import ChatAnswer, ChatClient, ChatQuestion, ServiceFailed  # noqa: PLC0415 (weight)

    answers: list[ChatAnswer] = []
    try:
        key = endpoint_environment(endpoint).get(KEY_VARIABLE, "")
        service = endpoint_service(endpoint)
        service = service.model_copy(update={"timeout_s": min(service.timeout_s, PATIENCE_S)})
        question = ChatQuestion([{"role": "user", "content": QUESTION}], TOKENS)
        ChatClient(service, key=key, tries=1).ask([question], each=lambda _, answer: answers.append(answer))
    except (HostRefused, SecretLost, ServiceFailed) as failed:
        raise EndpointRefused("base_url", str(failed)) from failed
    [answer] = answers
    if answer.ending in ("rejected", "filtered"):
        why = "the service's filter kept its answer back" if answer.ending == "filtered" else "it took no question"
        raise EndpointRefused("base_url", answer.reason or f"It was asked “{QUESTION}”, and {why}.")
    return Answered(answer.text.strip(), answer.logprob is not None)
