"""The eight claims of Panigrahi & Zhu (2023), each with margins fixed before any score was seen."""

from imbpipe.experiments.claims.claim import Claim, Hypothesis, Pick

CLASS, LOW, MANY, NEARLY = 0.05, 0.03, 0.01, 0.02
"""Margins: of a single class, of the low-frequency classes' mean, of a mean over more classes, and what
"nearly" leaves room for."""

OF_A_CLASS = (
    "0.05 for a single class: the rarest has 20 test images of the class, one of which found or missed moves "
    "its recall by that much"
)
OF_LOW = (
    "0.03 for the low-frequency mean: one test image of each of Planet's five low-frequency classes found or "
    "missed (1/68, 1/66, 1/42, 1/20, 1/20) moves their mean recall by that much"
)
OF_MANY = (
    "0.01 for a mean over more classes: each has at least 170 test images, so that much is no chance image"
)

BASELINE, UNDER, OVER = Pick("baseline"), Pick("undersample"), Pick("oversample")
OVER_SHORT = Pick("oversample", changes=(("length", "steps"),))
CRITERIA = {
    "herding": "herding",
    "k-center": "k-center",
    "facility-location": "facility location",
    "moderate": "moderate distance",
}
FRACTION = 0.25

CLAIMS = (
    Claim(
        "C1",
        "Up-weighting low-frequency classes has a negligible effect on every class.",
        "5.1",
        (
            Hypothesis(
                "up-weighting changes a class", "equivalence", Pick("upweight"), BASELINE, "each", CLASS
            ),
        ),
        OF_A_CLASS,
    ),
    Claim(
        "C2",
        "Undersampling is comparable to the baseline on low-frequency classes.",
        "5.2",
        (
            Hypothesis(
                "undersampling, low-frequency classes", "equivalence", UNDER, BASELINE, "low-frequency", LOW
            ),
        ),
        OF_LOW,
    ),
    Claim(
        "C3",
        "Undersampling harms agriculture and partly_cloudy but not selective_logging and bare_ground.",
        "5.2",
        (
            Hypothesis(
                "undersampling harms",
                "superiority",
                BASELINE,
                UNDER,
                ("agriculture", "partly_cloudy"),
                CLASS,
            ),
            Hypothesis(
                "undersampling spares",
                "non-inferiority",
                UNDER,
                BASELINE,
                ("selective_logging", "bare_ground"),
                CLASS,
            ),
        ),
        OF_A_CLASS,
        tasks=("multi-label",),
    ),
    Claim(
        "C4",
        "Oversampling matches or improves the baseline on low-frequency classes.",
        "5.3",
        (
            Hypothesis(
                "oversampling, low-frequency classes",
                "non-inferiority",
                OVER,
                BASELINE,
                "low-frequency",
                LOW,
            ),
        ),
        OF_LOW,
    ),
    Claim(
        "C5",
        "With ResNet-18 the gain of oversampling shrinks as the class gets rarer.",
        "5.3, Fig. 9b",
        (
            Hypothesis(
                "gain of oversampling, most frequent - rarest", "trend", OVER, BASELINE, "trend", CLASS
            ),
        ),
        OF_A_CLASS,
        tasks=("multi-label",),
        encoders=("resnet18",),
    ),
    Claim(
        "C6",
        "Oversampling's loss on the remaining classes comes from too little training.",
        "5.3",
        (
            Hypothesis(
                "oversampling loses on remaining classes", "superiority", BASELINE, OVER, "remaining", MANY
            ),
            Hypothesis(
                "training it longer than the baseline helps",
                "interaction",
                OVER,
                OVER_SHORT,
                "remaining",
                MANY,
            ),
        ),
        OF_MANY,
    ),
    Claim(
        "C7",
        "Undersampling by a criterion beats undersampling at random.",
        "5.4, 6",
        tuple(
            Hypothesis(
                f"{words} against random", "superiority", Pick(name, like="undersample"), UNDER, "all", MANY
            )
            for name, words in CRITERIA.items()
        ),
        OF_MANY,
        any_of=True,
    ),
    Claim(
        "C8",
        "The data are redundant: a small subset does nearly as well.",
        "5.2, 6",
        (
            Hypothesis(
                f"a random {FRACTION:.0%} of the images, all classes",
                "non-inferiority",
                Pick("subset", like="baseline", changes=(("fraction", FRACTION),)),
                BASELINE,
                "all",
                NEARLY,
            ),
        ),
        '0.02 for "nearly": twice what is allowed a mean over more classes elsewhere',
    ),
)
