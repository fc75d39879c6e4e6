"""What a claim is: a sentence, and the hypotheses that have to hold for it."""

from dataclasses import dataclass
from typing import Any, Literal

from imbpipe.experiments.setting import BASELINE, Setting
from imbpipe.strategies.strategy import parameters_of
from imbpipe.types import Task

Kind = Literal["equivalence", "non-inferiority", "superiority", "trend", "interaction"]
"""equivalence: the effect lies within the margin, up or down. non-inferiority: it is not below minus the
margin. superiority: it is above 0. trend, interaction: superiority of a contrast of classes, or of what two
settings differ in from the baseline."""

Classes = Literal["each", "low-frequency", "remaining", "all", "trend"] | tuple[str, ...]
"""each: one test a class. low-frequency, remaining, all: one test of the mean. trend: how much the effect on
the most frequent of the low-frequency classes exceeds that on the rarest, along a line fitted over the
logarithm of their frequencies. Names: one test a class."""


@dataclass(frozen=True)
class Pick:
    """Which settings of an experiment a hypothesis is about.

    strategy: all of the experiment's settings of this strategy. like: where it is none of the experiment's
    own, those of this other strategy, with every parameter that both have. changes: parameters to change.
    """

    strategy: str
    like: str = ""
    changes: tuple[tuple[str, Any], ...] = ()

    def of(self, settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
        """The settings, out of an experiment's own ones on a data set; none where it has none to go by."""
        if self.strategy == BASELINE.strategy:
            return (BASELINE,)
        source = self.like or self.strategy
        if source == BASELINE.strategy:
            return (Setting.of(self.strategy, **dict(self.changes)),)
        takes = parameters_of(self.strategy)
        found = (setting for setting in settings if setting.strategy == source)
        made = (
            Setting.of(
                self.strategy,
                **{name: value for name, value in setting.values.items() if name in takes}
                | dict(self.changes),
            )
            for setting in found
        )
        return tuple(dict.fromkeys(made))


@dataclass(frozen=True)
class Hypothesis:
    """ours - theirs, on some classes, against a margin.

    says: what is compared, in a few words. margin: fixed before any score was seen; an effect inside it
    does not matter.
    """

    says: str
    kind: Kind
    ours: Pick
    theirs: Pick
    classes: Classes
    margin: float

    def pairs(self, settings: tuple[Setting, ...]) -> tuple[tuple[Setting, Setting], ...]:
        """(ours, theirs) out of an experiment's settings, for each of ours that differs from theirs."""
        return tuple(
            (ours, theirs)
            for ours in self.ours.of(settings)
            for theirs in self.theirs.of(settings)
            if not _alike(ours, theirs)
        )


@dataclass(frozen=True)
class Claim:
    """sentence, section: of the paper. reason: why the margins are what they are.

    hypotheses: all of them have to hold, or with `any_of` one. tasks, encoders: where the claim was made;
    no encoder named: with every one.
    """

    id: str
    sentence: str
    section: str
    hypotheses: tuple[Hypothesis, ...]
    reason: str
    any_of: bool = False
    tasks: tuple[Task, ...] = ("multi-label", "single-label")
    encoders: tuple[str, ...] = ()

    @property
    def kinds(self) -> str:
        return ", ".join(dict.fromkeys(hypothesis.kind for hypothesis in self.hypotheses))

    def made_for(self, task: Task, encoder: str) -> bool:
        return task in self.tasks and (not self.encoders or encoder in self.encoders)

    def settings(self, settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
        """What has to be trained for it, out of an experiment's own settings on a data set."""
        pairs = (pair for hypothesis in self.hypotheses for pair in hypothesis.pairs(settings))
        return tuple(dict.fromkeys(setting for pair in pairs for setting in pair))


def _alike(ours: Setting, theirs: Setting) -> bool:
    """A factor of 1 is the baseline by another name."""
    return ours == theirs or (theirs == BASELINE and ours.values.get("factor") == 1)
