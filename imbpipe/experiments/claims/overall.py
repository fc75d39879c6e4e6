"""One word a claim: its answers on several data sets and encoders together, and all claims at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imbpipe.evaluation.adjust import holm
from imbpipe.experiments.claims.answer import word
from imbpipe.experiments.claims.run import Placed


@dataclass(frozen=True)
class Overall:
    """places: (data set, encoder) pairs with an answer. p_for, p_against: by Holm over the claims.

    verdict: empty where there is no answer.
    """

    claim: str
    protocol: str
    places: int
    p_for: float
    p_against: float

    @property
    def verdict(self) -> str:
        return word(self.p_for, self.p_against) if self.places else ""


def overall(placed: Sequence[Placed]) -> list[Overall]:
    """A claim is made for every place, so it has to hold at all and fails with one.

    The weakest p-value is for it; the strongest, by Holm over the places, against it; both then by Holm
    over the claims of a protocol.
    """
    return [
        each
        for protocol in dict.fromkeys(each.protocol for each in placed)
        for each in _of_protocol(protocol, [each for each in placed if each.protocol == protocol])
    ]


def _of_protocol(protocol: str, placed: Sequence[Placed]) -> list[Overall]:
    claims = list(dict.fromkeys(each.claim.id for each in placed))
    answers = {
        claim: [each.answer for each in placed if each.claim.id == claim and each.answer] for claim in claims
    }
    nan = float("nan")
    p_for = holm([max((a.p_for for a in answers[claim]), default=nan) for claim in claims])
    p_against = holm(
        [
            holm([a.p_against for a in answers[claim]]).min(initial=1.0) if answers[claim] else nan
            for claim in claims
        ]
    )
    return [
        Overall(claim, protocol, len(answers[claim]), float(mine), float(against))
        for claim, mine, against in zip(claims, np.asarray(p_for), np.asarray(p_against), strict=True)
    ]
