"""The table of strategies in the documentation, made from what they say of themselves."""

from imbpipe.strategies.strategy import STRATEGIES

COLUMNS = ("Strategy", "What it does", "Labels", "Parameters", "Source")


def markdown_table() -> str:
    """A row a strategy, in Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, STRATEGIES)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _row(name: str) -> tuple[str, ...]:
    facts = STRATEGIES.facts(name)
    parameters = (
        f"`{parameter}`" if default is None else f"`{parameter}` = {default}"
        for parameter, default in STRATEGIES.defaults(name).items()
    )
    labels = facts.get("Task", "single, multi").replace("-label", "").removesuffix(".")
    return f"`{name}`", STRATEGIES.summary(name), labels, ", ".join(parameters), facts["Source"]
