"""Class names as captions, for encoders that read."""

from collections.abc import Sequence

from imbpipe.errors import UsageError

PHOTO = ("a photo of a {}.", "a photo of the {}.")
SATELLITE = ("a satellite photo of {}.", "a centered satellite photo of {}.", "an aerial photo of {}.")
TEMPLATES = {"planet": SATELLITE, "sample": SATELLITE}
"""By the name of a data set; PHOTO for all others. After the prompts that Radford et al. (2021) published."""


def templates_of(dataset: str) -> tuple[str, ...]:
    """The captions that suit a data set's images; {} stands for the class."""
    return TEMPLATES.get(dataset, PHOTO)


def captions(class_name: str, templates: Sequence[str]) -> list[str]:
    """One a template; underscores are read as spaces: "a photo of a home office."."""
    words = " ".join(class_name.replace("_", " ").split())
    return [template.replace("{}", words) for template in templates]


def check_templates(templates: Sequence[str]) -> None:
    """Raises UsageError: one has no place for the class."""
    for template in templates:
        if "{}" not in template:
            raise UsageError(f"the caption {template!r} names no class", "Put {} where the class goes")
