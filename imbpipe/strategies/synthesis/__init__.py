"""Made rows: new points among the embeddings, beside the real ones or in their place."""

from imbpipe.strategies.synthesis import distill, jitter, mixup, mlsmote, smote

__all__ = ["distill", "jitter", "mixup", "mlsmote", "smote"]
