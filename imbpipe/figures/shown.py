"""Figures that a notebook shows."""

import io

from matplotlib.figure import Figure


class Shown(Figure):
    """A notebook shows it whether or not pyplot, which usually sees to that, was ever imported."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png")
        return out.getvalue()
