"""A model on an OpenAI-compatible server (vLLM, TGI, hosted): a voice, and a classifier by letters.

The cropped face, never the photo, leaves this machine, and only after an explicit opt-in
(`endpoint.require_consent`). `remote:http://host:8000/v1#model`; options in `endpoint.Terms`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Answer, Prediction
from ferce.core.types import Face, Scores
from ferce.models import prompts
from ferce.models.remote import letters
from ferce.models.remote.endpoint import Endpoint, Terms, require_consent
from ferce.models.remote.retry import Patience, RemoteError
from ferce.models.remote.server import Ask, Server
from ferce.models.vlm import phrases

if TYPE_CHECKING:
    from ferce.models.spec import Spec

T = TypeVar("T")
ANSWER_TOKENS = 128  # two or three sentences; a served model is wordier than BLIP
EXPLANATION_TOKENS = 400


def load(spec: "Spec", device: str = "auto") -> "Remote":
    """Open the model that `remote:http://host:8000/v1#model?workers=8` names; nothing is sent yet.

    Raises:
        ValueError: the spec is of another form, an option is unknown, or nobody allowed the
            cropped face to leave this machine.
    """
    del device  # the server has its own
    endpoint = Endpoint.parse(spec, os.environ)
    terms = Terms.parse(spec.options)
    require_consent(endpoint, terms, os.environ)
    patience = Patience(terms.timeout, terms.deadline, terms.tries)
    return Remote(str(spec), Server(endpoint, patience), terms)


class Remote:
    """Classifier and Voice; at most `terms.workers` requests for answers are under way at once.

    Every method raises `retry.RemoteError`, one sentence, when the server does not deliver.
    """

    # The page says so beside the photo; true of a server on this machine too: it may be a tunnel.
    leaves_machine = True

    def __init__(self, name: str, server: Server, terms: Terms) -> None:
        self.name = name
        self.server = server
        self.terms = terms
        self._log = prompts.PromptLog()
        self._pool = ThreadPoolExecutor(terms.workers, thread_name_prefix="ferce-remote")

    @property
    def template(self) -> str:
        """How an explanation is asked for, a key of `prompts.TEMPLATES`."""
        return self.terms.template

    def recording(self) -> AbstractContextManager[list[str]]:
        """Record what is asked, but for explanations, while the context is open."""
        return self._log.recording()

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces by lettered options in several orders; see `letters`."""
        shown = [letters.question(order) for order in letters.orders(self.terms.orders)]
        asks = [Ask(face.crop, text, 1) for face in faces for text in shown]
        tops = self._all(self.server.first_token, asks)
        classes = np.zeros((len(faces), len(COMPOUNDS)))
        for row in range(len(faces)):
            classes[row] = self._row(tops[row * len(shown) : (row + 1) * len(shown)])
        return Scores(classes)

    def named(self, faces: Sequence[Face]) -> list[str]:
        """Name the compound of each face in the model's own words, or `phrases.UNPARSED`.

        Needs no log-probabilities.
        """
        asks = [Ask(face.crop, prompts.CLASSIFY, ANSWER_TOKENS) for face in faces]
        return [phrases.parse(text) for text in self._all(self.server.text, asks)]

    def answer(self, face: Face, questions: Sequence[str]) -> list[Answer]:
        """Answer each question, in order, asked at the same time."""
        asks = [Ask(face.crop, prompts.formatted("chat", q), ANSWER_TOKENS) for q in questions]
        texts = self._all(self.server.text, asks)
        return [Answer(q, text, self.name) for q, text in zip(questions, texts, strict=True)]

    def explain(self, face: Face, prediction: Prediction) -> Iterator[str]:
        """Explain the *predicted* label; the pieces come as they are generated."""
        prompt = prompts.explain(prediction, self.terms.template, face.units)
        text = prompts.formatted("chat", prompt)
        return self.server.stream(Ask(face.crop, text, EXPLANATION_TOKENS))

    def close(self) -> None:
        """End the threads once their requests have ended; requests not begun are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, tops: Sequence[letters.Top]) -> Any:
        try:
            return letters.probabilities(tops)
        except ValueError as error:
            raise RemoteError(f"{self.server.who} {error}.") from None

    def _all(self, ask: Callable[[Ask], T], asks: Sequence[Ask]) -> list[T]:
        """Send all requests, results in order; the first failure drops those not begun."""
        self._log.note(one.prompt for one in asks)
        futures = [self._pool.submit(ask, one) for one in asks]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()  # raises the first failure
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
